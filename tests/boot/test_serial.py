# SPDX-License-Identifier: GPL-2.0-only
"""The user's serial lines reach a terminal of the user's machine, wherever the VMM runs."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.machines import Boot, Run
from support.meanwhile import meanwhile

pytestmark = pytest.mark.lab

NAME = f"serial-test-{os.getpid()}"  # these tests may run side by side
_DEADLINE_S = 100.0


def beside(boot: Boot, script: str, act: Callable[[dict[str, str]], None], **options: Any) -> Run:
    """Boot, and meanwhile act on the terminals."""
    return meanwhile(
        NAME,
        lambda facts: act(facts["ttys"]),
        lambda: boot("sh", "-c", script, name=NAME, **options),
    )


def read_until(terminal: int, text: bytes) -> bytes:
    data = b""
    end = time.monotonic() + _DEADLINE_S
    while text not in data:
        assert time.monotonic() < end, f"no {text!r} in {data[-200:]!r}"
        if select.select([terminal], [], [], 1)[0]:
            part = os.read(terminal, 4096)
            # Waiting on for a machine that is gone would miss the one booted after it.
            assert part, f"hung up before {text!r}"
            data += part
    return data


def test_two_lines_carry_bytes_both_ways_at_once(boot: Boot) -> None:
    said = {line: os.urandom(2000).hex().encode() for line in ("ttyS2", "ttyS3")}

    def act(paths: dict[str, str]) -> None:
        terminals = {line: os.open(path, os.O_RDWR | os.O_NOCTTY) for line, path in paths.items()}
        for terminal in terminals.values():
            read_until(terminal, b"ready\n")
        for line, terminal in terminals.items():
            for at in range(0, 4000, 500):  # a line at a time, as a user would type
                os.write(terminal, said[line][at : at + 500])
                assert read_until(terminal, said[line][at : at + 500][-8:]).endswith(
                    said[line][at : at + 500]
                )
        for terminal in terminals.values():
            os.close(terminal)

    script = """
        serve() {
            stty -F $1 raw -echo
            exec 3<>$1
            echo ready >&3
            head -c 4000 <&3 >&3
        }
        serve /dev/ttyS2 & one=$!
        serve /dev/ttyS3 & two=$!
        wait $one && wait $two
    """
    run = beside(boot, script, act, ttys=(2, 3))
    assert run.verdict == ("PASS", "ok"), run
    assert {"com3", "com4"} <= set(run.record.exits.devices)


def test_the_consoles_line_has_its_words_and_takes_ours(boot: Boot) -> None:
    def act(paths: dict[str, str]) -> None:
        terminal = os.open(paths["ttyS0"], os.O_RDWR | os.O_NOCTTY)
        seen = read_until(terminal, b"say something")
        assert b"Run /init as init process" in seen or b"Linux version" in seen
        os.write(terminal, b"hello\n")
        read_until(terminal, b"last words")
        os.close(terminal)

    script = "echo say something >/dev/console; read word </dev/ttyS0; echo heard $word; "
    script += "echo last words >/dev/console; sleep 1"
    run = beside(boot, script, act, ttys=(0,))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"heard hello\n"
    assert run.console.count("Run /init as init process") == 1


def test_lines_that_nobody_opens_hold_nothing_up(boot: Boot) -> None:
    # More than a pty holds that nobody reads, some 70 KB.
    script = "head -c 100000 /dev/zero >/dev/ttyS2; echo over"
    run = boot("sh", "-c", script, ttys=(0, 2))
    assert run.verdict == ("PASS", "ok"), run
    assert run.stdout == b"over\n"

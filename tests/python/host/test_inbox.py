# SPDX-License-Identifier: GPL-2.0-only
"""The queue between a worker and its user is limited, and so is the kept output."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from kvm.host.inbox import LOG_LIMIT_CHARS, MAX_WAITING, STDERR_LOG, Inbox


def test_a_worker_waits_for_who_does_not_take_its_events(tmp_path: Path) -> None:
    beats: list[int] = []
    inbox = Inbox(tmp_path, lambda: beats.append(1))
    put = 0

    def read() -> None:
        nonlocal put
        for number in range(3 * MAX_WAITING):
            inbox.put_line(json.dumps({"number": number}).encode())
            put += 1
        inbox.end(0)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(0.5)
    assert reader.is_alive()
    assert put <= MAX_WAITING
    assert beats
    numbers = [event["number"] for event in inbox.events(0.2) if event is not None]
    assert numbers == list(range(3 * MAX_WAITING))
    reader.join(10)
    assert not reader.is_alive()


def test_nobody_waits_for_a_user_who_wants_no_more(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    lines = [b"{}"] * (3 * MAX_WAITING)

    def put() -> None:
        for line in lines:
            inbox.put_line(line)

    reader = threading.Thread(target=put, daemon=True)
    reader.start()
    for _ in inbox.events(0.2):
        break
    reader.join(10)
    assert not reader.is_alive()


def test_a_log_of_warnings_does_not_fill_the_disk(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for number in range(100):
        inbox.put_text(f"{number} " + "warning " * 4000)
    assert (tmp_path / STDERR_LOG).stat().st_size == LOG_LIMIT_CHARS
    assert inbox.stderr_tail.endswith("warning ")
    assert "99 " not in (tmp_path / STDERR_LOG).read_text()

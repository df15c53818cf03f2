# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.native: workers as children of this process, and none left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.cli.call import exit_code_of
from kvm.host.base import CommandTimeout, Event, Session
from kvm.host.identity import ProcessId
from kvm.host.native import NativeHost


@pytest.fixture
def host() -> Iterator[NativeHost]:
    native = NativeHost()
    yield native
    native.close()


def _all(session: Session, within_s: float = 30) -> list[Event]:
    deadline = time.monotonic() + within_s
    events: list[Event] = []
    for event in session.events(0.05):
        assert time.monotonic() < deadline, events
        if event is not None:
            events.append(event)
    return events


def _start(host: NativeHost, artifact: Path, mode: str) -> Session:
    return host.start(artifact, {"cpus": 1}, {"argv": [mode]}, run_dir=artifact.parent / "run")


def test_a_worker_gets_its_spec_and_its_folder(host: NativeHost, artifact: Path) -> None:
    session = _start(host, artifact, "end")
    started, result = _all(session)
    assert started["spec"] == {"cpus": 1}
    assert started["cwd"] == str(artifact.parent / "run")
    assert started["file"].startswith(str(artifact))
    assert result["event"] == "result"
    assert session.exit_status == 0


def test_diagnostics_are_kept_in_the_run_folder(host: NativeHost, artifact: Path) -> None:
    session = _start(host, artifact, "noise")
    _all(session)
    assert session.exit_status == 3
    log = (artifact.parent / "run" / "vmm.log").read_text()
    for words in ("a diagnostic", "not an event", "cut sho"):
        assert words in log
        assert words in session.stderr_tail


def test_messages_reach_the_worker(host: NativeHost, artifact: Path) -> None:
    session = _start(host, artifact, "echo")
    session.send({"signal": 2})
    session.send({"stop": "enough"})
    got = [event["message"] for event in _all(session) if event["event"] == "got"]
    assert got == [{"signal": 2}, {"stop": "enough"}]
    session.send({"too": "late"})


def test_silence_wakes_the_reader(host: NativeHost, artifact: Path) -> None:
    session = _start(host, artifact, "hang")
    events = session.events(0.02)
    first = next(event for event in events if event is not None)
    assert first["event"] == "started"
    assert next(events) is None
    session.kill()
    assert [event for event in events if event is not None] == []
    assert session.exit_status in (-9, -15)


def test_a_crash_shows_its_signal(host: NativeHost, artifact: Path) -> None:
    session = _start(host, artifact, "crash")
    _all(session)
    assert session.exit_status == -11


def test_closing_the_host_leaves_no_worker(artifact: Path) -> None:
    host = NativeHost()
    session = _start(host, artifact, "hang")
    started = next(event for event in session.events(0.1) if event is not None)
    worker = ProcessId.of(int(started["pid"]))
    assert worker is not None
    host.close()
    assert not worker.alive


def test_a_command_gives_its_code_and_output(host: NativeHost, tmp_path: Path) -> None:
    lines: list[str] = []
    argv = ("sh", "-c", "pwd; echo $WORD; exit 4")
    code, output = host.run_command(
        argv, env={"WORD": "hi"}, cwd=tmp_path, timeout_s=20, on_output=lines.append
    )
    assert (code, output) == (4, f"{tmp_path}\nhi\n")
    assert lines == [str(tmp_path), "hi"]


def test_a_command_is_stopped_at_its_deadline(host: NativeHost) -> None:
    with pytest.raises(CommandTimeout) as late:
        host.run_command(("sh", "-c", "echo begun; sleep 60"), timeout_s=0.3)
    assert late.value.output == "begun\n"
    assert exit_code_of(late.value) == 125


def test_a_command_runs_beside_and_says_what_it_had_to_say(host: NativeHost) -> None:
    command = host.start_command(("sh", "-c", "echo ready; echo oops >&2; exec sleep 60"))
    time.sleep(0.5)
    assert command.stop() == "ready\noops\n"


def test_a_command_that_is_not_stopped_ends_with_its_host(tmp_path: Path) -> None:
    host = NativeHost()
    host.start_command(("sh", "-c", "echo $$ >pid; exec sleep 60"), cwd=tmp_path)
    time.sleep(0.5)
    process = ProcessId.of(int((tmp_path / "pid").read_text()))
    assert process is not None
    assert process.alive
    host.close()
    assert not process.alive

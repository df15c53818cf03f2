# SPDX-License-Identifier: GPL-2.0-only
"""The agent of a lab host, run on this machine: sessions, commands, clients that come and go."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvm.host.bundle import make_bundle
from kvm.host.channel import RequestFailed
from support.agent_client import PACKAGE_ROOT, Client, start_agent
from support.fake_vmm import make_artifact


def _events(client: Client, session: int) -> list[str]:
    return [event["event"] for event in client.said(session, "event")]  # type: ignore[index]


def _gone(pid: int, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_a_worker_runs_and_reports_its_end(client: Client, artifact: Path, tmp_path: Path) -> None:
    client.start(1, artifact, "end", cwd=str(tmp_path))
    assert client.wait_exit(1) == 0
    started = client.said(1, "event")[0]
    assert started["cwd"] == str(tmp_path)  # type: ignore[index]
    assert _events(client, 1) == ["started", "result"]
    assert "a diagnostic" in "".join(map(str, client.said(1, "stderr")))


def test_workers_of_one_artifact_share_an_import_and_nothing_else(
    client: Client, artifact: Path
) -> None:
    for session in (1, 2, 3):
        client.start(session, artifact, "echo")
    for session in (3, 1, 2):
        client.channel.post("input", session=session, data=json.dumps({"stop": session}))
    assert [client.wait_exit(session) for session in (1, 2, 3)] == [0, 0, 0]
    stops = [client.said(session, "event")[1] for session in (1, 2, 3)]
    assert [stop["message"]["stop"] for stop in stops] == [1, 2, 3]  # type: ignore[index]


def test_a_worker_that_crashes_reports_its_signal(client: Client, artifact: Path) -> None:
    client.start(1, artifact, "crash")
    assert client.wait_exit(1) == -11


def test_a_worker_can_be_killed(client: Client, artifact: Path) -> None:
    client.start(1, artifact, "hang")
    client.channel.post("kill", session=1)
    assert client.wait_exit(1) == -9


def test_what_is_no_event_becomes_a_diagnostic(client: Client, artifact: Path) -> None:
    client.start(1, artifact, "noise")
    assert client.wait_exit(1) == 3
    text = "".join(map(str, client.said(1, "stderr")))
    assert "not an event" in text
    assert "cut sho" in text


def test_all_output_arrives_before_the_end(client: Client, artifact: Path) -> None:
    client.start(1, artifact, "flood")
    assert client.wait_exit(1) == 0
    assert _events(client, 1) == ["started", *["console"] * 3000, "result"]


def test_another_artifact_gets_a_zygote_of_its_own(
    client: Client, artifact: Path, tmp_path: Path
) -> None:
    other = make_artifact(tmp_path / "other")
    for session, folder in ((1, artifact), (2, other)):
        client.start(session, folder, "end")
        assert client.wait_exit(session) == 0
        assert client.said(session, "event")[0]["file"].startswith(str(folder))  # type: ignore[index]


def test_two_artifacts_can_run_at_once(client: Client, artifact: Path, tmp_path: Path) -> None:
    client.start(1, artifact, "echo")
    client.start(2, make_artifact(tmp_path / "other"), "end")
    assert client.wait_exit(2) == 0
    client.channel.post("input", session=1, data='{"stop": 1}')
    assert client.wait_exit(1) == 0


def test_a_worker_that_cannot_be_imported_says_why(client: Client, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "kvm").mkdir(parents=True)
    (broken / "kvm" / "__init__.py").write_text("")
    client.start(1, broken, "end")
    assert client.wait_exit(1) == 1
    assert "No module named 'kvm.vm'" in "".join(map(str, client.said(1, "stderr")))


def test_a_bundle_replaces_the_artifacts_files(
    client: Client, artifact: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path, ("kvm.vm.worker",), artifact)
    worker = artifact / "kvm" / "vm" / "worker.py"
    worker.write_text("raise RuntimeError('read from its file')")
    client.start(1, artifact, "end", bundle=str(bundle))
    assert client.wait_exit(1) == 0


def test_a_command_runs_with_its_folder_and_environment(client: Client, tmp_path: Path) -> None:
    argv = ["sh", "-c", "pwd; echo $WORD; echo oops >&2; exit 7"]
    client.channel.request(
        "exec", 10, session=1, argv=argv, env={"WORD": "hello"}, cwd=str(tmp_path)
    )
    assert client.wait_exit(1) == 7
    output = b"".join(base64.b64decode(str(part)) for part in client.said(1, "output"))
    assert output.decode() == f"{tmp_path}\nhello\noops\n"


@pytest.mark.parametrize(("program", "code"), [("/no/such/program", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_run_says_so(client: Client, program: str, code: int) -> None:
    client.channel.request("exec", 10, session=1, argv=[program], env={}, cwd="/")
    assert client.wait_exit(1) == code
    assert program.encode() in base64.b64decode(str(client.said(1, "output")[0]))


def test_a_command_takes_what_it_started_with_it(client: Client) -> None:
    argv = ["sh", "-c", "sleep 600 & echo $!"]
    client.channel.request("exec", 10, session=1, argv=argv, env={}, cwd="/")
    assert client.wait_exit(1) == 0
    child = int(base64.b64decode(str(client.said(1, "output")[0])))
    assert _gone(child)


def test_a_bad_request_is_refused_and_harmless(client: Client, artifact: Path) -> None:
    client.start(1, artifact, "hang")
    with pytest.raises(RequestFailed, match="running already"):
        client.start(1, artifact, "end")
    with pytest.raises(RequestFailed, match="start needs artifact, cwd, input"):
        client.channel.request("start", 10, session=2)
    with pytest.raises(RequestFailed, match="exec needs argv"):
        client.channel.request("exec", 10, session=3, env={}, cwd="/")
    assert client.channel.request("ping", 10)["ok"]


def test_a_worker_that_cannot_be_started_is_over_at_once(client: Client) -> None:
    client.channel.post("start", session=1)
    assert client.wait_exit(1) == 126
    assert "start needs" in "".join(map(str, client.said(1, "stderr")))


class _RawClient:
    """Writes arbitrary bytes to an agent."""

    def __init__(self) -> None:
        self.line, end = socket.socketpair()
        self.line.settimeout(20)
        self.agent = start_agent(end)
        self._received = b""

    def send(self, data: bytes) -> None:
        self.line.sendall(data)

    def next_message(self) -> dict[str, object]:
        while True:
            while b"\n" not in self._received:
                self._received += self.line.recv(65536)
            line, _, self._received = self._received.partition(b"\n")
            if line:
                return dict(json.loads(line))

    def close(self) -> None:
        self.line.close()
        self.agent.kill()
        self.agent.wait(10)


@pytest.fixture
def raw() -> _RawClient:
    return _RawClient()


def test_half_a_line_of_a_killed_client_does_not_spoil_the_next_hello(raw: _RawClient) -> None:
    try:
        raw.send(b'{"op": "hello", "id": 0, "nonce": "first"}\n{"op": "star')
        assert raw.next_message()["nonce"] == "first"
        raw.send(b'\n{"op": "hello", "id": 0, "nonce": "second"}\n')
        assert raw.next_message()["nonce"] == "second"
    finally:
        raw.close()


def test_requests_before_a_hello_are_ignored(raw: _RawClient) -> None:
    try:
        raw.send(b'{"op": "ping", "id": 5}\n{"op": "hello", "id": 0, "nonce": "n"}\n')
        assert raw.next_message()["nonce"] == "n"
    finally:
        raw.close()


def test_a_new_client_ends_what_the_old_one_ran(raw: _RawClient) -> None:
    try:
        raw.send(b'{"op": "hello", "id": 0, "nonce": "first"}\n')
        raw.next_message()
        command = {"op": "exec", "session": 1, "argv": ["sh", "-c", "echo $$; exec sleep 600"]}
        raw.send(json.dumps({**command, "env": {}, "cwd": "/"}).encode() + b"\n")
        pid = int(base64.b64decode(str(raw.next_message()["output"])))
        raw.send(b'\n{"op": "hello", "id": 0, "nonce": "second"}\n')
        assert raw.next_message()["nonce"] == "second"
        assert _gone(pid)
    finally:
        raw.close()


def test_the_end_of_the_line_ends_what_the_client_ran(raw: _RawClient) -> None:
    try:
        raw.send(b'{"op": "hello", "id": 0, "nonce": "first"}\n')
        raw.next_message()
        command = {"op": "exec", "session": 1, "argv": ["sh", "-c", "echo $$; exec sleep 600"]}
        raw.send(json.dumps({**command, "env": {}, "cwd": "/"}).encode() + b"\n")
        pid = int(base64.b64decode(str(raw.next_message()["output"])))
        raw.line.shutdown(socket.SHUT_RDWR)
        assert _gone(pid)
    finally:
        raw.close()


def test_poweroff_ends_the_agent(raw: _RawClient) -> None:
    try:
        raw.send(b'{"op": "hello", "id": 0, "nonce": "n"}\n{"op": "poweroff", "id": 1}\n')
        assert raw.next_message()["nonce"] == "n"
        assert raw.next_message() == {"id": 1, "ok": True}
        assert raw.agent.wait(20) == 0
    finally:
        raw.close()


def test_nobody_there_for_long_ends_the_agent() -> None:
    ours, theirs = os.pipe()
    script = f"from kvm.host.inside.agent import Agent; Agent({ours}, 0.2, print).run()"
    argv = (sys.executable, "-c", script)
    environment = {**os.environ, "PYTHONPATH": PACKAGE_ROOT}
    agent = subprocess.Popen(argv, pass_fds=(ours,), env=environment)
    try:
        assert agent.wait(20) == 0
    finally:
        agent.kill()
        agent.wait(10)
        os.close(ours)
        os.close(theirs)

# SPDX-License-Identifier: GPL-2.0-only
"""The C init, driven as an ordinary process through its --agent-fd option."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kvm import process
from kvm.guest.protocol import (
    MAGIC,
    ExitStatus,
    FrameDecoder,
    FrameType,
    decode_count,
    decode_exit,
    encode,
    encode_run,
    encode_signal,
    encode_stdin,
    encode_winsize,
    parse_hello,
)

DEADLINE_S = 30.0


@dataclass
class Session:
    """The worker's end of one init: sends without blocking, collects what it receives."""

    sock: socket.socket
    child: subprocess.Popen[bytes]
    decoder: FrameDecoder = field(default_factory=FrameDecoder)
    hello: dict[str, str] = field(default_factory=dict)
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    errors: list[bytes] = field(default_factory=list)
    heartbeats: int = 0
    input_read: int | None = None
    exit: ExitStatus | None = None
    outgoing: bytes = b""

    def send(self, data: bytes) -> None:
        self.outgoing += data

    def until(self, done: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        end = time.monotonic() + deadline_s
        while not done():
            left = end - time.monotonic()
            assert left > 0, f"nothing came in time; so far {self}"
            wanted = [self.sock] if self.outgoing else []
            readable, writable, _ = select.select([self.sock], wanted, [], left)
            if writable:
                self.outgoing = self.outgoing[self.sock.send(self.outgoing) :]
            if readable:
                data = self.sock.recv(1 << 16)
                self._take(data)
                assert data or done(), f"init hung up; so far {self}"

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, stdin: bytes | None = b"", **kw: int
    ) -> ExitStatus:
        """Run to the end; ``stdin=None`` leaves it open, ``stay`` leaves init running."""
        tty, count, stay = (bool(kw.pop(name, 0)) for name in ("tty", "count_input", "stay"))
        self.exit = None
        self.send(encode_run(argv, env, tty, count_input=count, stay=stay, **kw))
        if stdin is not None:
            self.send(encode_stdin(stdin) + encode(FrameType.STDIN_EOF))
        return self.ended() if stay else self.finish()

    def ended(self) -> ExitStatus:
        self.until(lambda: self.exit is not None)
        assert self.exit is not None
        return self.exit

    def finish(self) -> ExitStatus:
        self.ended()
        assert self.exit is not None
        self.send(encode(FrameType.POWEROFF))  # behind input that was not read
        self.until(lambda: not self.outgoing)
        assert self.child.wait(DEADLINE_S) == 0
        return self.exit

    def _take(self, data: bytes) -> None:
        for kind, payload in self.decoder.feed(data):
            match kind:
                case FrameType.HELLO:
                    self.hello = parse_hello(payload)
                case FrameType.STDOUT:
                    self.stdout += payload
                case FrameType.STDERR:
                    self.stderr += payload
                case FrameType.STDIN_READ:
                    self.input_read = decode_count(payload)
                case FrameType.EXIT:
                    self.exit = decode_exit(payload)
                case FrameType.HEARTBEAT:
                    self.heartbeats += 1
                case _:
                    self.errors.append(payload)


# prctl(2), PR_SET_CHILD_SUBREAPER: orphans are given to it, as to process 1.
_SUBREAPER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1)
os.execv(sys.argv[1], sys.argv[1:])
"""


@contextlib.contextmanager
def started(init: Path, cwd: Path | None = None, *, adopts: bool = False) -> Iterator[Session]:
    ours, theirs = socket.socketpair()
    argv = (init, "--agent-fd", str(theirs.fileno()))
    before = (sys.executable, "-c", _SUBREAPER) if adopts else ()
    with (
        ours,
        process.spawn((*before, *argv), cwd=cwd, pass_fds=(theirs.fileno(),)) as child,
    ):
        theirs.close()
        ours.setblocking(False)
        session = Session(ours, child)
        session.until(lambda: bool(session.hello))
        yield session


@pytest.fixture
def session(init: Path, tmp_path: Path) -> Iterator[Session]:
    with started(init, tmp_path) as running:
        yield running


def test_hello_describes_the_machine(session: Session) -> None:
    assert session.hello["protocol"] == "1"
    assert session.hello["release"] == os.uname().release
    assert int(session.hello["cpus"]) >= 1
    assert int(session.hello["mem_kib"]) > 0
    assert int(session.hello["uptime_ns"]) > 0
    assert session.decoder.skipped == 0


def test_a_guest_that_stays_runs_one_command_after_another(session: Session) -> None:
    assert session.run("sh", "-c", "cat; exit 7", stdin=b"one ", stay=1).code == 7
    assert session.run("sh", "-c", "echo two >&2; kill -9 $$", stay=1).signal == signal.SIGKILL
    assert session.run("/no/such/program", stay=1).code == 127
    assert session.run("echo", "three").code == 0
    assert session.stdout == b"one three\n"
    assert session.stderr.splitlines()[0] == b"two"
    assert session.errors == []


def test_a_guest_that_stays_ends_when_told(session: Session) -> None:
    session.run("true", stay=1)
    session.send(encode(FrameType.POWEROFF))
    session.until(lambda: not session.outgoing)
    assert session.child.wait(DEADLINE_S) == 0


LINES = b"".join(b"line %04d\n" % number for number in range(100_000))


@pytest.mark.parametrize(
    ("command", "read"),
    [
        ("true", 0),
        ("read a; read b", 20),
        ("dd bs=1000 count=7 iflag=fullblock 2>&-", 7000),
        ("cat", len(LINES)),
        ("cat > /dev/null; exit 3", len(LINES)),
        ("dd bs=10 count=1 2>&-; exec <&-; sleep 0.3", 10),
    ],
)
def test_what_the_command_has_read_of_its_input_is_counted(
    session: Session, command: str, read: int
) -> None:
    session.run("sh", "-c", command, stdin=LINES, count_input=1)
    assert session.input_read == read


def test_who_does_not_ask_is_not_told_what_was_read(session: Session) -> None:
    assert session.run("cat", stdin=b"words") == (0, 0)
    assert session.input_read is None


def test_hello_tells_of_nothing_that_is_not_there(session: Session) -> None:
    assert (session.hello["lacking"], session.hello["missing"]) == ("", "")


def test_the_command_starts_in_the_folder_that_its_environment_says(
    session: Session, tmp_path: Path
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    assert session.run("pwd", env={"PWD": str(folder)}) == (0, 0)
    assert session.stdout.decode() == f"{folder}\n"
    assert session.stderr == b""


def test_a_folder_that_is_not_there_is_told(session: Session, tmp_path: Path) -> None:
    assert session.run("/bin/pwd", env={"PWD": "/no such folder"}) == (0, 0)
    assert session.stdout.decode() == f"{tmp_path}\n"
    assert b"/no such folder: No such file or directory; starting in" in session.stderr


@pytest.mark.parametrize("code", [0, 1, 7, 125, 255])
def test_exit_code_is_the_commands(session: Session, code: int) -> None:
    assert session.run("sh", "-c", f"exit {code}") == (code, 0)


def test_signal_that_ended_the_command_is_reported(session: Session) -> None:
    assert session.run("sh", "-c", "kill -SEGV $$") == (128 + 11, 11)


def test_silent_command_still_gives_a_sign_of_life(session: Session) -> None:
    assert session.run("sleep", "2.5") == (0, 0)
    assert session.heartbeats == 2


def test_orphans_that_end_all_the_time_do_not_hide_that_the_guest_lives(
    init: Path, tmp_path: Path
) -> None:
    """Each orphan wakes init, which must not count that as its own sign of life."""
    script = "for n in $(seq 50); do (sleep 0.01 &) ; sleep 0.05; done"
    with started(init, tmp_path, adopts=True) as session:
        begun = time.monotonic()
        assert session.run("sh", "-c", script) == (0, 0)
        assert session.heartbeats >= int(time.monotonic() - begun) - 1 >= 1


@pytest.mark.parametrize("reads", [True, False])
def test_input_that_comes_all_the_time_does_not_hide_that_the_guest_lives(
    session: Session, reads: bool
) -> None:
    command = ["sh", "-c", "cat >/dev/null"] if reads else ["sleep", "60"]
    session.send(encode_run(command))
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        session.send(encode_stdin(b"a few bytes"))
        with contextlib.suppress(AssertionError):
            session.until(lambda: False, deadline_s=0.05)
    assert session.heartbeats >= 2
    session.send(encode_signal(signal.SIGKILL))
    assert session.finish().signal == signal.SIGKILL


def test_a_flood_of_input_does_not_hide_that_the_guest_lives(session: Session) -> None:
    session.send(encode_run(["sh", "-c", "cat >/dev/null"]))
    end = time.monotonic() + 3.5
    while time.monotonic() < end:
        if len(session.outgoing) < 1 << 20:
            session.send(encode_stdin(bytes(60_000)))
        with contextlib.suppress(AssertionError):
            session.until(lambda: False, deadline_s=0.001)
    assert session.heartbeats >= 2
    session.outgoing = b""
    session.sock.shutdown(socket.SHUT_WR)


def test_stdout_and_stderr_stay_apart(session: Session) -> None:
    assert session.run("sh", "-c", "echo out; echo err >&2; echo more") == (0, 0)
    assert session.stdout == b"out\nmore\n"
    assert session.stderr == b"err\n"


def test_words_and_environment_arrive_as_sent(session: Session) -> None:
    script = 'printf "%s|" "$@" "$K" "$HOME" "$PATH"'
    session.run("sh", "-c", script, "sh", "", "a b", "ä", env={"K": "x=y", "HOME": "/h"})
    words = session.stdout.decode().split("|")
    assert words[:5] == ["", "a b", "ä", "x=y", "/h"]
    assert "/bin" in words[5].split(":")


@pytest.mark.parametrize("size", [0, 1, 65536, 4 << 20])
def test_cat_returns_stdin_byte_for_byte(session: Session, size: int) -> None:
    data = random.Random(size).randbytes(size)
    assert session.run("cat", stdin=data) == (0, 0)
    assert bytes(session.stdout) == data


def test_slow_reader_of_stdin_stops_nothing_else(session: Session) -> None:
    """The command reads its input only after it has written far more than a pipe holds."""
    script = "head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2; cat | wc -c >&2"
    session.run("sh", "-c", script, stdin=bytes(3 << 20))
    assert len(session.stdout) == 3_000_000
    assert session.stderr.endswith(b"\0%d\n" % (3 << 20))


def test_stdin_nobody_reads_does_not_hold_up_the_exit(session: Session) -> None:
    assert session.run("true", stdin=bytes(2 << 20)) == (0, 0)


def test_command_that_closes_stdin_goes_on(session: Session) -> None:
    assert session.run("sh", "-c", "exec <&-; sleep 0.1; echo ok", stdin=bytes(1 << 20)) == (0, 0)
    assert session.stdout == b"ok\n"


def test_host_that_reads_slowly_gets_everything(session: Session) -> None:
    session.send(encode_run(["head", "-c", "3000000", "/dev/zero"]))
    session.until(lambda: bool(session.stdout))
    time.sleep(0.5)
    assert session.finish() == (0, 0)
    assert len(session.stdout) == 3_000_000


def test_unknown_command_is_127(session: Session) -> None:
    assert session.run("no-such-command-here") == (127, 0)
    assert session.stderr == b"toolskvm: no-such-command-here: command not found\n"


def test_file_that_is_no_program_is_126(session: Session, tmp_path: Path) -> None:
    (tmp_path / "data").touch(0o644)
    assert session.run("./data") == (126, 0)
    assert b"./data: cannot run: Permission denied" in session.stderr


def test_missing_interpreter_is_told_apart(session: Session, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert session.run("./script") == (127, 0)
    assert b"interpreter" in session.stderr


def test_background_child_holding_the_pipes_delays_the_exit_shortly(session: Session) -> None:
    start = time.monotonic()
    assert session.run("sh", "-c", "sleep 20 & echo $!; exit 3") == (3, 0)
    assert time.monotonic() - start < 3
    os.kill(int(session.stdout), signal.SIGKILL)


def test_noisy_background_child_is_cut_off(session: Session) -> None:
    script = "(while :; do echo x; sleep 0.02; done) & echo $! >&2; exit 4"
    start = time.monotonic()
    assert session.run("sh", "-c", script) == (4, 0)
    assert time.monotonic() - start < 4
    with contextlib.suppress(ProcessLookupError):  # the closed pipe may have ended it
        os.kill(int(session.stderr), signal.SIGKILL)


def test_output_of_a_pipelines_last_writer_is_not_lost(session: Session) -> None:
    assert session.run("sh", "-c", "(sleep 0.1; echo late) & exit 0") == (0, 0)
    assert session.stdout == b"late\n"


def test_signal_frame_reaches_the_command(session: Session) -> None:
    session.send(encode_run(["sh", "-c", "trap 'echo got; exit 9' TERM; echo up; sleep 20 & wait"]))
    session.until(lambda: b"up" in session.stdout)
    session.send(encode_signal(signal.SIGTERM))
    assert session.finish() == (9, 0)
    assert session.stdout == b"up\ngot\n"


def test_command_starts_with_default_signals(session: Session) -> None:
    session.run("sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status")
    masks = dict(line.split(":\t") for line in session.stdout.decode().splitlines())
    assert int(masks["SigBlk"], 16) == 0
    assert not int(masks["SigIgn"], 16) & 1 << (signal.SIGPIPE - 1)


def test_command_inherits_no_descriptors(session: Session) -> None:
    session.run("ls", "/proc/self/fd")
    assert session.stdout.split() == [b"0", b"1", b"2", b"3"]  # 3 is the folder it lists


def test_tty_has_size_and_both_streams(session: Session) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && stty size && tty && echo err >&2"
    assert session.run("sh", "-c", script, tty=1, rows=33, cols=101, stdin=None) == (0, 0)
    lines = session.stdout.replace(b"\r", b"").splitlines()
    assert lines[0] == b"33 101"
    assert lines[1].startswith(b"/dev/pts/")
    assert lines[2] == b"err"
    assert session.stderr == b""


def test_tty_resize_and_interrupt_key(session: Session) -> None:
    script = "trap 'stty size' WINCH; trap 'exit 5' INT; echo up; while :; do sleep 0.05; done"
    session.send(encode_run(["sh", "-c", script], tty=True))
    session.until(lambda: b"up" in session.stdout)
    session.send(encode_winsize(50, 120))
    session.until(lambda: b"50 120" in session.stdout)
    session.send(encode_stdin(b"\x03"))
    assert session.finish() == (5, 0)


def test_tty_end_of_input_ends_cat(session: Session) -> None:
    assert session.run("cat", tty=1, stdin=b"line\n") == (0, 0)
    assert session.stdout.replace(b"\r", b"") == b"line\nline\n"


def test_input_in_bits_arrives_in_order(session: Session) -> None:
    session.send(encode_run(["cat"]))
    for number in range(100):
        session.send(encode_stdin(b"%d\n" % number))
        session.until(lambda n=number: session.stdout.endswith(b"%d\n" % n))  # type: ignore[misc]
    session.send(encode(FrameType.STDIN_EOF))
    assert session.finish() == (0, 0)
    assert session.stdout == b"".join(b"%d\n" % n for n in range(100))


def test_poweroff_ends_init_and_the_command(session: Session) -> None:
    session.send(encode_run(["sh", "-c", "echo $$; exec sleep 30"]))
    session.until(lambda: session.stdout.endswith(b"\n"))
    session.sock.send(encode(FrameType.POWEROFF))
    assert session.child.wait(5) == 0
    assert_gone(int(session.stdout))


def test_host_that_goes_away_ends_init_and_the_command(session: Session) -> None:
    session.send(encode_run(["sh", "-c", "echo $$; exec sleep 30"]))
    session.until(lambda: session.stdout.endswith(b"\n"))
    session.sock.close()
    assert session.child.wait(5) == 1
    assert_gone(int(session.stdout))


def test_malformed_run_is_an_error_not_a_crash(session: Session) -> None:
    session.send(encode(FrameType.RUN, b"\0" * 5))
    session.until(lambda: bool(session.errors))
    assert b"malformed" in session.errors[0]
    assert session.child.wait(5) == 1


def test_other_frames_before_run_are_ignored(session: Session) -> None:
    session.send(encode_winsize(1, 1) + encode_signal(9) + encode_stdin(b"early"))
    assert session.run("cat", stdin=b"late") == (0, 0)
    assert session.stdout == b"late"


def test_magic_comes_first(init: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, process.spawn((init, "--agent-fd", "3"), pass_fds=()) as failed:
        assert failed.wait(5) == 2
    ours, theirs = socket.socketpair()
    number = theirs.fileno()
    with ours, process.spawn((init, "--agent-fd", str(number)), pass_fds=(number,)):
        theirs.close()
        assert ours.recv(8) == MAGIC


def test_started_by_hand_it_explains_itself(init: Path) -> None:
    done = process.run((init,), check=False, timeout_s=10)
    assert done.returncode == 2
    assert "--agent-fd" in done.output


def assert_gone(pid: int) -> None:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs")

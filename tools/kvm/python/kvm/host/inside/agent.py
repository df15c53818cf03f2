# SPDX-License-Identifier: GPL-2.0-only
"""The resident agent of a lab host: starts VMM workers and commands for one client.

Runs in the lab host as the only child of its init, on one thread; ``launch.py`` starts it. The
messages between the client (``channel.py``, on the developer's machine) and the agent are in
``kvm/wire/agent.py``.

When no client has been connected for ``idle_s`` the agent ends, and the lab host with it.

Most of a lab host's boot time is Python's start, hence the few imports.
"""

from __future__ import annotations

import binascii
import os
import select
import sys
import time

from kvm.host.inside.port import EVENTS, Port
from kvm.host.inside.sessions import Session, read_ahead, run, spawn
from kvm.host.inside.zygote import Zygote, enter_new_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kvm.host.inside.zygote import Switch
    from kvm.wire import agent as wire

    Message = dict[str, Any]

PROTOCOL = 2

_SIGKILL = 9
_CANNOT_START = 126
_GONE_S = 0.2
_BACKLOG_HIGH = 4 * 1024 * 1024
_BACKLOG_LOW = 512 * 1024
_CLOCKSOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


class BadRequest(Exception):
    """The client asked for something impossible; it gets an answer, and the agent goes on."""


class Agent:
    """Owns the port, the zygote and all sessions."""

    def __init__(self, fd: int, idle_s: float, switch: Switch) -> None:
        self._port = Port(fd)
        self._idle_s = idle_s
        self._switch = switch
        self._epoll = select.epoll()
        self._epoll.register(fd, EVENTS)
        self._watched: dict[int, Callable[[], object]] = {}
        self._sessions: dict[int, Session] = {}
        self._zygote: Zygote | None = None
        self._connected = False
        self._gone_since: float | None = None
        self._last_seen = time.monotonic()
        self._throttled = False
        self._ended = False
        self._prepared = False
        self._kept: Session | None = None
        self._handlers: dict[str, Callable[[Any], Message | None]] = {
            "hello": self._hello,
            "ping": self._ping,
            "preload": self._preload,
            "insert": self._insert,
            "fetch": self._fetch,
            "keep": self._keep,
            "prepare": self._prepare,
            "info": self._info,
            "poweroff": self._poweroff,
            "start": self._start,
            "exec": self._exec,
            "input": self._input,
            "kill": self._kill_session,
        }

    def run(self) -> None:
        """Serve until asked to power off, or until no client has come for ``idle_s``."""
        while not self._ended:
            for fd, _ in self._epoll.poll(self._patience_s()):
                if fd == self._port.fd:
                    self._serve_port()
                elif fd in self._watched:  # not closed by an earlier handler
                    self._watched[fd]()
            if self._gone_since is not None:
                self._serve_port()
            self._throttle()
            idle = time.monotonic() - self._last_seen
            self._ended = self._ended or (not self._connected and idle >= self._idle_s)
        self._kill_sessions()
        self._drop_zygote()

    def _patience_s(self) -> float:
        if self._connected:
            return -1 if self._gone_since is None else _GONE_S
        return max(self._last_seen + self._idle_s - time.monotonic(), 0.0)

    # The client

    def _serve_port(self) -> None:
        """Read the port; a new client's hello may come before the news that it has connected.

        The driver learns of connections by a work queue and of data by an interrupt, so the port
        can read as empty and unconnected right after a new client's hello. Only when it stays so
        is the client gone.
        """
        messages, gone = self._port.receive()
        for message in messages:
            self._serve(message)
        if not gone or not self._connected:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = time.monotonic()
        elif time.monotonic() - self._gone_since >= _GONE_S:
            self._disconnect()
        self._port.flush()

    def _disconnect(self) -> None:
        self._connected = False
        self._gone_since = None
        self._last_seen = time.monotonic()
        self._kill_sessions(but=self._kept)
        self._port.drop()

    def _serve(self, message: Message) -> None:
        handler = self._handlers.get(message.get("op", ""))
        if handler is None or (not self._connected and message["op"] != "hello"):
            return  # left over from a previous client
        try:
            answer: Message = {"ok": True, **(handler(message) or {})}
        except (BadRequest, KeyError, TypeError, ValueError, OSError) as failed:
            answer = {"ok": False, "error": f"{type(failed).__name__}: {failed}"}
        if "id" in message:
            self._port.send({"id": message["id"], **answer})
        elif not answer["ok"] and message["op"] in ("start", "exec"):
            number = message.get("session")
            self._port.send({"session": number, "stderr": f"lab host: {answer['error']}\n"})
            self._port.send({"session": number, "exit": _CANNOT_START})

    def _hello(self, message: wire.Hello) -> Message:
        self._kill_sessions(but=self._kept)
        self._port.drop_unsent()
        self._port.break_line()
        self._connected = True
        self._gone_since = None
        return {"nonce": message["nonce"], "protocol": PROTOCOL}

    def _ping(self, message: wire.Request) -> None:
        """Do nothing: the answer is enough."""

    def _info(self, message: wire.Request) -> Message:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        with open(_CLOCKSOURCE) as stream:  # noqa: PTH123
            clocksource = stream.read().strip()
        return {
            "kvm": os.access("/dev/kvm", os.R_OK | os.W_OK),
            "cpus": len(os.sched_getaffinity(0)),
            "memory_mib": memory >> 20,
            "release": os.uname().release,
            "clocksource": clocksource,
        }

    def _poweroff(self, message: wire.Request) -> None:
        self._ended = True

    def _preload(self, message: wire.Preload) -> None:
        """Copy a VMM into memory and import it, so that this lab host can be saved with it."""
        _require(message, "artifact", "bundle", "files")
        self._fetch(message)
        zygote = self._zygote_of(message["artifact"], message["bundle"])
        if why := zygote.await_ready():
            self._drop_zygote()
            raise BadRequest(f"the VMM can't be imported: {why}")

    def _insert(self, message: wire.Insert) -> None:
        """Copy modules into memory and insert them: this lab host can be saved with them."""
        _require(message, "modules")
        pairs = [path for module in message["modules"] for path in (module, module)]
        run(["/init", "--fetch", *pairs])
        run(["/init", "--insert", *message["modules"]])

    def _fetch(self, message: wire.Fetch) -> None:
        """Copy files into memory, for a machine that this lab host can be saved with."""
        _require(message, "files")
        run(["/init", "--fetch", *message["files"]])

    def _keep(self, message: wire.Keep) -> None:
        """Leave a session alone when clients come and go; its machine has read the files."""
        _require(message, "session", "files")
        self._kept = self._sessions[message["session"]]
        for path in message["files"]:
            os.unlink(path)  # noqa: PTH108 (pathlib is slow to import)

    def _prepare(self, message: wire.Prepare) -> Message:
        """Enter the developer's files; a later client finds that done."""
        if not self._prepared:
            self._enter(message)
        return {"modules": _modules()}

    def _enter(self, message: wire.Prepare) -> None:
        _require(
            message, "time_ns", "entropy", "share", "exports", "modules", "preload", "prefetch"
        )
        words = [str(message["time_ns"]), message["entropy"], message["share"]]
        run(["/init", "--prepare", *words, *message["exports"], *message["modules"]])
        enter_new_root()
        self._prepared = True
        if self._zygote is not None:
            self._zygote.enter_new_root()
        read_ahead(message["prefetch"])
        if message["preload"]:
            artifact, bundle = message["preload"]
            self._zygote_of(artifact, bundle or None)

    def _start(self, message: wire.StartWorker) -> None:
        _require(message, "session", "artifact", "cwd", "input")
        session = self._new_session(message, lines=True)
        self._start_worker(session)
        session.write(message["input"].encode() + b"\n")
        self._watch_input(session)

    def _exec(self, message: wire.Exec) -> None:
        _require(message, "session", "argv", "env", "cwd")
        session = self._new_session(message, lines=False)
        ends = session.make_pipes()
        environment = {**os.environ, **message["env"]}
        argv = [str(word) for word in message["argv"]]
        session.pid = spawn(argv, environment, message["cwd"], (ends[0], ends[1], ends[1]))
        self._watch_child(session, ends)
        os.close(session.stdin)
        session.stdin = -1

    def _input(self, message: wire.Input) -> None:
        session = self._sessions.get(message["session"])
        if session is not None and session.stdin >= 0:  # else it has just ended
            session.write(message["data"].encode() + b"\n")
            self._watch_input(session)

    def _kill_session(self, message: wire.OfSession) -> None:
        session = self._sessions.get(message["session"])
        if session is not None:
            self._kill(session)

    # Starting

    def _new_session(self, message: wire.OfSession, *, lines: bool) -> Session:
        if message["session"] in self._sessions:
            raise BadRequest(f"session {message['session']} is running already")
        session = Session(message, lines=lines)
        self._sessions[session.number] = session
        return session

    def _zygote_of(self, artifact: str, bundle: str | None) -> Zygote:
        if self._zygote is not None and self._zygote.artifact != artifact:
            if any(session.in_zygote for session in self._sessions.values()):
                raise BadRequest("workers of another VMM are still running")
            self._drop_zygote()
        if self._zygote is None:
            self._zygote = Zygote(artifact, bundle, self._switch)
            self._watch(self._zygote.fileno(), self._hear_zygote)
        return self._zygote

    def _start_worker(self, session: Session) -> None:
        request = session.request
        ends = session.make_pipes()
        try:
            zygote = self._zygote_of(request["artifact"], request.get("bundle"))
            zygote.fork(session.number, request["cwd"], ends)
        except (BadRequest, OSError):
            self._spawn_worker(session, ends)
            return
        session.in_zygote = True
        self._watch_outputs(session, ends)

    def _spawn_worker(self, session: Session, ends: tuple[int, int, int]) -> None:
        """Start it without a zygote: slow, but an error message of the start is passed on."""
        argv = [sys.executable, "-s", "-S", "-P", "-m", "kvm.vm.worker"]
        environment = {**os.environ, "PYTHONPATH": session.request["artifact"]}
        session.in_zygote = False
        session.pid = spawn(argv, environment, session.request["cwd"], ends)
        self._watch_child(session, ends)

    def _watch(self, fd: int, handler: Callable[[], object], events: int = select.EPOLLIN) -> None:
        self._watched[fd] = handler
        self._epoll.register(fd, events)

    def _forget(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            self._unregister(fd)

    def _unregister(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except FileNotFoundError:
            pass  # throttled

    def _watch_outputs(self, session: Session, ends: tuple[int, int, int]) -> None:
        for fd in ends:
            os.close(fd)
        for fd in session.outputs:
            self._watch(fd, lambda fd=fd: self._hear_output(session, fd))  # type: ignore[misc]

    def _watch_child(self, session: Session, ends: tuple[int, int, int]) -> None:
        assert session.pid is not None
        self._watch_outputs(session, ends)
        pidfd = os.pidfd_open(session.pid)
        self._watch(pidfd, lambda: self._reap(session, pidfd))

    def _watch_input(self, session: Session) -> None:
        """Watch only while the child reads slowly: a writable pipe would always wake the agent."""
        if not session.wants_input:
            self._forget(session.stdin)
        elif session.stdin not in self._watched:
            self._watch(session.stdin, lambda: self._feed(session), select.EPOLLOUT)

    # What sessions say

    def _feed(self, session: Session) -> None:
        session.flush()
        self._watch_input(session)

    def _hear_output(self, session: Session, fd: int) -> bool:
        """Pass on what has come; False if there is nothing yet, or the output has ended."""
        data = session.read(fd)
        if data:
            self._say(session, session.outputs[fd], data)
        elif data is not None:
            self._forget(fd)
            session.close_output(fd)
        return bool(data)

    def _say(self, session: Session, name: str, data: bytes) -> None:
        if not session.lines:
            text = binascii.b2a_base64(data, newline=False).decode()
            self._port.send({"session": session.number, "output": text})
        elif name == "stderr":
            self._say_text(session, data)
        else:
            for line in session.take_lines(data):
                if line.startswith(b"{") and line.endswith(b"}"):
                    self._port.send_raw(b'{"session": %d, "event": %b}' % (session.number, line))
                else:
                    self._say_text(session, line + b"\n")

    def _say_text(self, session: Session, data: bytes) -> None:
        if data:
            text = data.decode(errors="replace")
            self._port.send({"session": session.number, "stderr": text})

    def _hear_zygote(self) -> None:
        assert self._zygote is not None
        try:
            message = self._zygote.receive()
        except BlockingIOError:
            return
        if message is None:
            self._lose_zygote()
            return
        session = self._sessions.get(message.get("session", -1))
        if "broken" in message:
            self._port.send({"zygote": message["broken"]})
        elif session is not None and "pid" in message:
            session.pid = message["pid"]
        elif session is not None and "status" in message:
            self._end(session, message["status"])

    def _lose_zygote(self) -> None:
        """Lose the zygote's workers; those it has not yet forked are started without it."""
        self._drop_zygote()
        for session in [session for session in self._sessions.values() if session.in_zygote]:
            if session.pid is not None:
                _kill_group(session.pid)
                self._end(session, -_SIGKILL)
                continue
            self._close(session)
            fresh = self._new_session(session.request, lines=True)
            self._spawn_worker(fresh, fresh.make_pipes())
            fresh.write(fresh.request["input"].encode() + b"\n")
            self._watch_input(fresh)

    def _reap(self, session: Session, pidfd: int) -> None:
        assert session.pid is not None
        self._forget(pidfd)
        os.close(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(session.pid, 0)[1])
        _kill_group(session.pid)  # processes that a command left running
        self._end(session, status)

    def _end(self, session: Session, status: int) -> None:
        """Handle its process's end: first take the output that is still in the pipes."""
        if self._sessions.get(session.number) is not session:
            return  # killed with its client
        for fd in list(session.outputs):
            while self._hear_output(session, fd):
                pass
        self._say_text(session, session.take_partial())
        self._close(session)
        self._port.send({"session": session.number, "exit": status})

    # Ending

    def _close(self, session: Session) -> None:
        del self._sessions[session.number]
        for fd in (session.stdin, *session.outputs):
            self._forget(fd)
        session.close()

    def _kill(self, session: Session) -> None:
        if not session.in_zygote and session.pid is not None:
            _kill_group(session.pid)
        elif session.in_zygote and self._zygote is not None:
            self._zygote.kill(session.number)

    def _kill_sessions(self, *, but: Session | None = None) -> None:
        """Kill all: no client is left to be notified; the zygote and the loop reap the dead."""
        for session in [session for session in self._sessions.values() if session is not but]:
            self._kill(session)
            self._close(session)

    def _drop_zygote(self) -> None:
        if self._zygote is not None:
            self._forget(self._zygote.fileno())
            self._zygote.close()
            self._zygote = None

    def _throttle(self) -> None:
        """A client that does not read must not fill this machine's memory with output."""
        high = self._port.backlog > (_BACKLOG_LOW if self._throttled else _BACKLOG_HIGH)
        if high == self._throttled:
            return
        self._throttled = high
        for fd in [fd for session in self._sessions.values() for fd in session.outputs]:
            if high:
                self._unregister(fd)
            else:
                self._epoll.register(fd, select.EPOLLIN)


def _modules() -> dict[str, list[int]]:
    """The start and size of each module by its name (proc(5))."""
    try:
        with open("/proc/modules") as stream:  # noqa: PTH123
            lines = [line.split() for line in stream]
    except FileNotFoundError:
        return {}  # a kernel without modules
    return {line[0]: [int(line[5], 16), int(line[1])] for line in lines}


def _require(message: wire.Request, *names: str) -> None:
    """Check fields before anything is begun that a missing one would leave half done."""
    missing = [name for name in names if name not in message]
    if missing:
        raise BadRequest(f"{message['op']} needs {', '.join(missing)}")


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, _SIGKILL)
    except ProcessLookupError:
        pass


def serve_port(idle_s: float, switch: Switch) -> int:
    """Serve the virtio port that init found; return the exit code for init."""
    path = os.environ.get("TOOLSKVM_PORT")
    if path is None:
        print("TOOLSKVM_PORT is not set: this runs in a lab host", file=sys.stderr)
        return 2
    Agent(os.open(path, os.O_RDWR | os.O_NONBLOCK), idle_s, switch).run()
    return 0

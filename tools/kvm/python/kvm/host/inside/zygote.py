# SPDX-License-Identifier: GPL-2.0-only
"""A process that has the VMM imported and forks one worker per request.

It runs in the lab host, forked from the agent, because there Python's start and the import of
``kvm.vm.worker`` take longer than a guest's boot. One zygote serves one artifact.
The agent talks to it over a SOCK_SEQPACKET pair, one JSON object a packet:

    → {"fork": session, "cwd": folder}  with three descriptors: the worker's 0, 1, 2
    → {"kill": session}
    → {"root": true}                    enter the new root, as the agent has
    ← {"ready": true}                   the import is done; requests may come before
    ← {"broken": "traceback"}           it failed, and the zygote ends
    ← {"pid": pid, "session": n}        ← {"status": n, "session": n}

The worker's exit status is its exit code, or minus the signal that ended it.
"""

from __future__ import annotations

import _socket
import json
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    # Replaces the agent's modules by those of the VMM's bundle, if it has one.
    Switch = Callable[[str | None], None]

# The kernel defines these numbers; the modules that name them are slow to import.
_SIGKILL = 9
_PACKET_BYTES = 64 * 1024
_DESCRIPTOR_BYTES = 4
_DESCRIPTORS_MAX = 4096
_CLOSE_MS = 2000
_READY_MS = 60_000


class Zygote:
    """The agent's end of one zygote."""

    def __init__(self, artifact: str, bundle: str | None, switch: Switch) -> None:
        """Fork it from this process; the fork then calls ``switch`` for the VMM's modules."""
        self.artifact = artifact
        self._ready = False
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            _serve_forever(theirs.fileno(), artifact, bundle, switch)
        theirs.close()
        ours.setblocking(False)
        self._socket = ours

    def fileno(self) -> int:
        return self._socket.fileno()

    def fork(self, session: int, cwd: str, descriptors: tuple[int, int, int]) -> None:
        """Request a worker; a ``pid`` message follows. ``OSError``: the zygote is gone."""
        packet = json.dumps({"fork": session, "cwd": cwd}).encode()
        raw = b"".join(fd.to_bytes(_DESCRIPTOR_BYTES, sys.byteorder) for fd in descriptors)
        self._socket.sendmsg([packet], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, raw)])

    def kill(self, session: int) -> None:
        """Kill a worker; only the zygote knows whether its pid is still that worker's."""
        self._socket.send(json.dumps({"kill": session}).encode())

    def enter_new_root(self) -> None:
        """Let it, and the workers that it will fork, enter the root that has been mounted."""
        self._socket.send(json.dumps({"root": True}).encode())

    def await_ready(self) -> str:
        """Wait until it can fork workers; why it can't, or empty."""
        waiting = select.poll()
        waiting.register(self._socket.fileno(), select.POLLIN)
        if not waiting.poll(_READY_MS):
            return f"it takes longer than {_READY_MS // 1000} s"
        message = self.receive()
        if message is None:
            return "its process has ended"
        return str(message.get("broken", ""))

    def receive(self) -> dict[str, Any] | None:
        """The next message; None if the zygote is gone. Raises ``BlockingIOError`` if none came."""
        try:
            packet = self._socket.recv(_PACKET_BYTES)
        except ConnectionError:
            return None
        message = dict(json.loads(packet)) if packet else None
        self._ready = self._ready or (message is not None and "ready" in message)
        return message

    def close(self) -> None:
        """End the zygote; when its socket ends, it kills its workers."""
        self._socket.close()
        pidfd = os.pidfd_open(self.pid)
        waiting = select.poll()
        waiting.register(pidfd, select.POLLIN)
        if not self._ready or not waiting.poll(
            _CLOSE_MS
        ):  # else it does not listen, but has no workers
            os.kill(self.pid, _SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(pidfd)


def _serve_forever(fd: int, artifact: str, bundle: str | None, switch: Switch) -> None:
    """Run the new process; never returns into the agent's code."""
    try:
        os.dup2(fd, 3)
        os.closerange(4, _DESCRIPTORS_MAX)
        _Server(_socket.socket(fileno=3), artifact, bundle, switch).run()
    finally:
        os._exit(0)


class _Server:
    def __init__(
        self, link: _socket.socket, artifact: str, bundle: str | None, switch: Switch
    ) -> None:
        self._link = link
        self._workers: dict[int, tuple[int, int]] = {}  # pidfd → (session, pid)
        self._poll = select.poll()
        try:
            self._main = import_worker(artifact, bundle, switch)
        except BaseException:
            self._tell(broken=_traceback())
            raise

    def run(self) -> None:
        self._tell(ready=True)
        self._poll.register(self._link.fileno(), select.POLLIN)
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._link.fileno():
                    self._reap(fd)
                elif not self._serve():
                    return self._kill_all()

    def _tell(self, **message: object) -> None:
        try:
            self._link.send(json.dumps(message).encode())
        except OSError:
            pass  # the agent is gone; the next read says so

    def _serve(self) -> bool:
        space = _socket.CMSG_SPACE(3 * _DESCRIPTOR_BYTES)
        packet, ancillary, _, _ = self._link.recvmsg(_PACKET_BYTES, space)
        if not packet:
            return False
        request = json.loads(packet)
        if "kill" in request:
            self._kill(request["kill"])
        elif "root" in request:
            enter_new_root()
        else:
            self._fork(request["fork"], request["cwd"], _descriptors(ancillary))
        return True

    def _fork(self, session: int, cwd: str, descriptors: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_worker(cwd, descriptors)
        for fd in descriptors:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._workers[pidfd] = (session, pid)
        self._poll.register(pidfd, select.POLLIN)
        self._tell(pid=pid, session=session)

    def _become_worker(self, cwd: str, descriptors: list[int]) -> NoReturn:
        code = 70
        try:
            os.setsid()
            for number, fd in enumerate(descriptors):
                os.dup2(fd, number)
            os.closerange(3, _DESCRIPTORS_MAX)
            os.chdir(cwd)
            code = _exit_code(self._main)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except BaseException:
            os.write(2, _traceback().encode())
        finally:
            os._exit(code)

    def _reap(self, pidfd: int) -> None:
        session, pid = self._workers.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._tell(status=status, session=session)

    def _kill(self, session: int) -> None:
        for candidate, pid in self._workers.values():
            if candidate == session:
                _kill_family(pid)

    def _kill_all(self) -> None:
        for _, pid in self._workers.values():
            _kill_family(pid)
        for _, pid in self._workers.values():
            os.waitpid(pid, 0)


def enter_new_root() -> None:
    """Make what is mounted over the root (``labhost_prepare``) the root of this process."""
    os.chroot("/..")
    os.chdir("/")


def import_worker(artifact: str, bundle: str | None, switch: Switch) -> Callable[[], int | None]:
    """``kvm.vm.worker.main`` of the artifact, not of the package that the agent came from."""
    for name in [name for name in sys.modules if name == "kvm" or name.startswith("kvm.")]:
        del sys.modules[name]
    switch(bundle)
    sys.path.insert(0, artifact)
    main: Callable[[], int | None] = __import__("kvm.vm.worker", fromlist=["main"]).main
    return main


def _exit_code(main: Callable[[], int | None]) -> int:
    try:
        return main() or 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)


def _kill_family(pid: int) -> None:
    """Kill the worker and what it started: its process group, once that exists."""
    os.kill(pid, _SIGKILL)
    try:
        os.killpg(pid, _SIGKILL)
    except ProcessLookupError:
        pass


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    raw = b"".join(data for _, _, data in ancillary)
    return [
        int.from_bytes(raw[at : at + _DESCRIPTOR_BYTES], sys.byteorder)
        for at in range(0, len(raw), _DESCRIPTOR_BYTES)
    ]


def _traceback() -> str:
    from traceback import format_exc

    return format_exc()

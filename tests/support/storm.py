# SPDX-License-Identifier: GPL-2.0-only
"""A machine that is paused and resumed hundreds of times a second while all its devices work.

``main`` runs in a lab host, with the compiled core in its own process: one thread pauses, a second
one plays the host's side. It prints its results as JSON on the last line.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import select
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvm.guest.protocol import FrameDecoder, FrameType, decode_exit, encode, encode_run
from kvm.spec.machine import MachineSpec

if TYPE_CHECKING:  # the core exists only in the lab host
    from kvm.vm.machine import Machine

_FOLDER = Path("/tmp/storm")
_DISK_BYTES = 8 << 20
_STREAM_BYTES = 256 << 10
# More than a socket and the VMM hold of a console that is not read.
SERIAL_LINES = 8000
_PATIENCE_S = 400.0
# The longest time between changes, paused or not. Short ones hit the middle of an exit.
_LONGEST_S = 0.004

# Disk and streams run in rounds until the input ends, and report whether all was right. The serial
# line's output is numbered.
SCRIPT = f"""
export EXERCISE_PATIENCE_S={_PATIENCE_S:.0f}
cat /proc/uptime
(until [ -e /tmp/enough ]; do exercise writers /dev/vda 3 {_DISK_BYTES} || exit 1
    done >/tmp/disk 2>&1; echo $? >>/tmp/disk) & disk=$!
(until [ -e /tmp/enough ]; do exercise stream tcp:10.0.2.2:5310 5 {_STREAM_BYTES} || exit 1
    done >/tmp/net 2>&1; echo $? >>/tmp/net) & net=$!
(until [ -e /tmp/enough ]; do exercise stream vsock:2:5311 7 {_STREAM_BYTES} || exit 1
    done >/tmp/vsock 2>&1; echo $? >>/tmp/vsock) & vsock=$!
(awk 'BEGIN {{ for (i = 0; i < {SERIAL_LINES}; i++) print "serial " i }}' >/dev/ttyS0
    echo $? >/tmp/serial) & serial=$!
echo under way
cat >/dev/null
touch /tmp/enough
wait $disk $net $vsock $serial
cat /proc/uptime
dmesg | grep -iE 'stall|lockup|hung|warn|bug'
for load in disk net vsock serial; do echo "== $load"; cat /tmp/$load; done
"""


class Host:
    """The host's side of a machine: reads its output, and sends what the guest's init waits for."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._decoder = FrameDecoder()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.console, self.out = bytearray(), bytearray()
        self.reads_console = threading.Event()
        self.code: int | None = None

    def start(self) -> None:
        self._thread.start()

    def wait_for(self, words: bytes) -> None:
        end = time.monotonic() + _PATIENCE_S
        while words not in self.out:
            if time.monotonic() > end or not self._thread.is_alive():
                raise TimeoutError(f"no {words!r} in {bytes(self.out)!r}; {self.console[-2000:]!r}")
            time.sleep(0.02)

    def end_input(self) -> None:
        os.write(self._machine.agent_fd, encode(FrameType.STDIN_EOF))

    def join(self) -> None:
        """Wait until the machine has stopped and all its output is read."""
        self._thread.join(_PATIENCE_S)
        if self._thread.is_alive():
            raise TimeoutError("the machine did not stop")

    def _run(self) -> None:
        while True:
            last = self._machine.wait(0) is not None and not self._machine.output_unsent
            fds = [self._machine.agent_fd, self._machine.events_fd]
            fds += [self._machine.console_fd] if self.reads_console.is_set() else []
            ready, _, _ = select.select(fds, [], [], 0 if last else 0.05)
            for fd in ready:
                self._take(fd, os.read(fd, 1 << 16))
            if last and not ready:
                return

    def _take(self, fd: int, data: bytes) -> None:
        if fd == self._machine.console_fd:
            self.console += data
        elif fd == self._machine.agent_fd:
            for frame in self._decoder.feed(data):
                if frame.type is FrameType.HELLO:
                    os.write(fd, encode_run(("sh", "-c", SCRIPT)))
                elif frame.type in (FrameType.STDOUT, FrameType.STDERR):
                    self.out += frame.payload
                elif frame.type is FrameType.EXIT:
                    self.code = decode_exit(frame.payload).code
                    os.write(fd, encode(FrameType.POWEROFF))


class Servers:
    """The other ends of the streams, one after another; each reports in its own file."""

    def __init__(self, exercise: str) -> None:
        self._exercise = exercise
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    @contextlib.contextmanager
    def serving(self, *addresses: str) -> Iterator[None]:
        for number, address in enumerate(addresses):
            words = (number, address)
            self._threads.append(threading.Thread(target=self._serve, args=words, daemon=True))
            self._threads[-1].start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join(10)

    def said(self) -> str:
        return "".join(path.read_text() for path in sorted(_FOLDER.glob("server-*")))

    def _serve(self, number: int, address: str) -> None:
        with (_FOLDER / f"server-{number}").open("wb") as log:
            while not self._over.is_set():
                if address.startswith("unix:"):
                    Path(address.removeprefix("unix:")).unlink(missing_ok=True)
                child = subprocess.Popen(
                    (self._exercise, "stream-serve", address),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={"EXERCISE_PATIENCE_S": f"{_PATIENCE_S:.0f}"},
                )
                while child.poll() is None and not self._over.wait(0.005):
                    pass
                child.kill()  # no client will connect any more
                child.wait(10)


def main(job: dict[str, Any]) -> None:
    """The job has ``spec``, ``exercise``, ``pauses``, and ``unread``: nothing reads the console."""
    from kvm.vm.machine import Machine

    _FOLDER.mkdir(exist_ok=True)
    disk = _FOLDER / "disk"
    disk.write_bytes(b"")
    os.truncate(disk, _DISK_BYTES)
    spec = MachineSpec.from_json(
        job["spec"]
        | {
            "disks": [{"path": str(disk), "read_only": False}],
            "vsock": {"path": f"{_FOLDER}/vsock"},
        }
    )
    servers = Servers(job["exercise"])
    with servers.serving("tcp:127.0.0.1:5310", f"unix:{_FOLDER}/vsock_5311"), Machine(spec) as made:
        found = _storm(made, int(job["pauses"]), unread=bool(job["unread"]))
    found["servers"] = servers.said()
    print(json.dumps(found))


def _wait_until_full(machine: Machine) -> None:
    """Wait until the serial line's writer blocks because nothing reads it."""
    end = time.monotonic() + _PATIENCE_S
    before = -1
    while True:
        written = machine.exits()["ports"].get("0x3f8", 0)
        if machine.output_unsent and written == before:
            return
        if time.monotonic() > end:
            raise TimeoutError("a console that nobody reads did not fill up")
        before = written
        time.sleep(1.0)


def _storm(machine: Machine, pauses: int, *, unread: bool) -> dict[str, Any]:
    host = Host(machine)
    host.reads_console.set()
    machine.start()
    host.start()
    host.wait_for(b"under way")
    if unread:
        host.reads_console.clear()
        _wait_until_full(machine)
    # Counted from here: the reader may have begun one more read when it was told to stop.
    begun, before = time.monotonic(), len(host.console)
    chance = random.Random(pauses)
    for number in range(pauses):
        machine.pause()
        if not machine.paused:
            raise AssertionError(f"pause {number} was none: {machine.wait(0)}")
        time.sleep(chance.random() * _LONGEST_S)
        machine.resume()
        time.sleep(chance.random() * _LONGEST_S)
        if number % 1000 == 999:
            print(f"{number + 1} pauses in {time.monotonic() - begun:.0f} s", flush=True)
    storm_s = time.monotonic() - begun
    read_meanwhile = len(host.console) - before
    host.reads_console.set()
    host.end_input()
    host.wait_for(b"== serial")
    host.join()
    stop = machine.wait(0)
    assert stop is not None
    # What the kernel says by the debug port comes in the same stream, in the middle of a line too.
    console = re.sub(rb"\[ *\d+\.\d{6}\] [^\n]*\n", b"", host.console)
    uptimes = [float(one) for one in re.findall(rb"^(\d+\.\d+) \d+\.\d+\r?$", host.out, re.M)]
    return {
        "stop": stop.reason,
        "code": host.code,
        "storm_s": storm_s,
        "wall_s": time.monotonic() - begun,
        "guest_s": uptimes[-1] - uptimes[0],
        "read_meanwhile": read_meanwhile,
        "said": host.out.decode(errors="replace"),
        "serial": [int(one) for one in re.findall(rb"serial (\d+)\r?\n", console)],
        "noise": re.sub(rb"serial \d+\r?\n", b"", host.console[before:])[-4000:].decode("latin-1"),
        "exits": machine.exits()["reasons"],
        "last_exits": machine.last_exits(),
    }

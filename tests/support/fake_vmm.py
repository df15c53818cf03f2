# SPDX-License-Identifier: GPL-2.0-only
"""A VMM artifact without a VMM: its worker speaks the protocol and plays a chosen part.

It is for tests of the hosts' plumbing. The first word of ``run.argv`` chooses the part.
"""

from __future__ import annotations

from pathlib import Path

WORKER = """
import json, os, signal, sys, time

def emit(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)

def main():
    first = json.loads(sys.stdin.readline())
    mode = ((first["run"] or {}).get("argv") or ["end"])[0]
    emit("started", pid=os.getpid(), cwd=os.getcwd(), spec=first["spec"], file=__file__)
    print("a diagnostic", file=sys.stderr)
    if mode == "echo":
        for line in sys.stdin:
            message = json.loads(line)
            emit("got", message=message)
            if "stop" in message:
                break
    elif mode == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif mode == "hang":
        time.sleep(600)
    elif mode == "flood":
        for number in range(3000):
            emit("console", number=number, data="x" * 1000)
    elif mode == "noise":
        print("not an event", flush=True)
        os.write(1, b'{"event": "cut sho')
        return 3
    emit("result", stop="stopped")
    return 0

if __name__ == "__main__":
    sys.exit(main())
"""


def make_artifact(folder: Path, worker: str = WORKER) -> Path:
    """An artifact folder whose ``kvm.vm.worker`` is ``worker``."""
    package = folder / "kvm" / "vm"
    package.mkdir(parents=True)
    (folder / "kvm" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "worker.py").write_text(worker)
    return folder

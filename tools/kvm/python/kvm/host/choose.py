# SPDX-License-Identifier: GPL-2.0-only
"""Which host to use: native only if a probe guest ran on this machine's KVM, else a lab host.

It proves nothing that ``/dev/kvm`` opens: some KVMs open and can't run Linux, and a machine on
one hangs without a word. The probe runs in a child process, because it calls exactly what is
not trusted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from kvm import process
from kvm.errors import UserError
from kvm.host.identity import boot_id
from kvm.host.qemu import Accelerator

_GUEST_S = 5.0
_PROCESS_S = 15.0
_DEVICE = Path("/dev/kvm")
_SCRIPT = """
import json, sys
from kvm import _core
found = _core.probe(float(sys.argv[1]))
print(json.dumps({"state": found.state, "detail": found.detail, "nested": found.nested}))
"""
_STATES = ("absent", "denied", "broken", "usable")
_LASTING = ("broken", "usable")  # the others can be fixed without a restart


class HostKind(Enum):
    """Where machines run."""

    NATIVE = "native"
    LAB = "lab"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """``state``: absent, denied, broken or usable; ``nested``: its guests can have KVM too."""

    state: str
    detail: str
    nested: bool = False

    @property
    def usable(self) -> bool:
        return self.state == "usable"


@dataclass(frozen=True, slots=True)
class Choice:
    """The host to use and, for the user, the reason."""

    kind: HostKind
    why: str


def choose(requested: str, probe: Callable[[], ProbeResult]) -> Choice:
    """``requested`` is auto, native or lab; ``probe`` is only called if the answer matters.

    Raises ``UserError`` for native if KVM can't be used, and for unknown words.
    """
    if requested == "lab":
        return Choice(HostKind.LAB, "asked for")
    if requested not in ("auto", "native"):
        raise UserError(f"there is no host {requested!r}", "choose auto, native or lab")
    found = probe()
    if found.usable:
        why = "asked for" if requested == "native" else "a probe guest ran on this machine's KVM"
        return Choice(HostKind.NATIVE, why)
    if requested == "native":
        raise UserError(
            f"this machine's KVM is {found.state}: {found.detail}",
            "use --host lab, which needs no KVM here",
        )
    return Choice(HostKind.LAB, f"this machine's KVM is {found.state}: {found.detail}")


def lab_accelerator(probe: Callable[[], ProbeResult]) -> Accelerator:
    """KVM for a lab host only if its guests can have KVM in turn."""
    found = probe()
    return Accelerator.KVM if found.usable and found.nested else Accelerator.TCG


def kvm_probe(artifact: Path, cache: Path) -> ProbeResult:
    """Try a guest with the VMM in ``artifact``.

    The answer is remembered for this KVM, until the computer restarts or the module is loaded
    again. That a guest was only slow is not remembered.
    """
    if not _DEVICE.exists():
        return ProbeResult("absent", f"{_DEVICE} does not exist")
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return ProbeResult("denied", f"no permission to open {_DEVICE}")
    record = cache / "probe" / f"{boot_id()}-{_loaded()}-{artifact.name}.json"
    try:
        return _parse(record.read_text())
    except (OSError, ValueError):
        pass
    begun = time.monotonic()
    found = _probe(artifact)
    in_time = time.monotonic() - begun < min(_GUEST_S, _PROCESS_S)
    if found.usable or (found.state in _LASTING and in_time):
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(asdict(found)))
    return found


def _loaded() -> str:
    """A hash that differs when KVM's module was reloaded or its parameters were changed."""
    words = [str(_DEVICE.stat().st_ctime_ns)]
    for path in sorted(Path("/sys/module").glob("kvm*/parameters/*")):
        with contextlib.suppress(OSError):  # only root can read some
            words.append(f"{path.parent.parent.name}.{path.name}={path.read_text().strip()}")
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _probe(artifact: Path) -> ProbeResult:
    argv = (sys.executable, "-s", "-S", "-P", "-c", _SCRIPT, str(_GUEST_S))
    try:
        done = process.run(
            argv, env={"PYTHONPATH": str(artifact)}, timeout_s=_PROCESS_S, check=False
        )
    except process.CommandError:
        return ProbeResult("broken", f"the probe did not end within {_PROCESS_S:.0f} s")
    if done.returncode < 0:
        return ProbeResult("broken", f"the probe was ended by signal {-done.returncode}")
    lines = done.output.strip().splitlines() or ["nothing"]
    try:
        return _parse(lines[-1])
    except ValueError:
        raise UserError(
            f"the KVM probe of {artifact} failed: {lines[-1]}", "build the VMM again"
        ) from None


def _parse(text: str) -> ProbeResult:
    """The record of a probe. Raises ``ValueError`` for anything else."""
    fields = json.loads(text)
    if not isinstance(fields, dict) or fields.get("state") not in _STATES:
        raise ValueError(text)
    return ProbeResult(fields["state"], str(fields.get("detail")), fields.get("nested") is True)

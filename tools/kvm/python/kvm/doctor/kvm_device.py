# SPDX-License-Identifier: GPL-2.0-only
"""Examines ``/dev/kvm``, from its mere presence to a guest that ran.

It proves little that the device opens: some KVMs open and still can't run Linux. Only a probe guest
(from the caller, because it needs the built VMM) gives "usable".
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from kvm.errors import UserError

_DEVICE = Path("/dev/kvm")
_KVM_GET_API_VERSION = 0xAE00  # _IO(KVMIO, 0x00), <linux/kvm.h>
_STABLE_API = 12


class ProbeResult(Protocol):
    """The result of a probe guest (``kvm._core.ProbeResult`` has this shape)."""

    @property
    def state(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def nested(self) -> bool: ...


Probe = Callable[[], ProbeResult]


class KvmState(Enum):
    """The states, from nothing to everything; ``OPENS`` means that no guest was tried."""

    ABSENT = "absent"
    DENIED = "denied"
    OPENS = "opens"
    BROKEN = "broken"
    USABLE = "usable"


@dataclass(frozen=True, slots=True)
class KvmDevice:
    """The device's state and its description, and whether guests can have KVM too."""

    state: KvmState
    detail: str
    nested: bool = False


def examine(probe: Probe | None, device: Path = _DEVICE) -> KvmDevice:
    """Open the device and, if that works and there is a ``probe``, try a guest."""
    opened = _open(device)
    if opened.state is not KvmState.OPENS or probe is None:
        return opened
    try:
        result = probe()
    except UserError as failed:
        return KvmDevice(KvmState.OPENS, f"not probed: {failed.message}")
    return KvmDevice(KvmState(result.state), result.detail, result.nested)


def _open(device: Path) -> KvmDevice:
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return KvmDevice(KvmState.DENIED, f"no permission to open {device}")
    except OSError as failed:
        return KvmDevice(KvmState.ABSENT, f"{device}: {failed.strerror}")
    try:
        version = fcntl.ioctl(fd, _KVM_GET_API_VERSION)
    except OSError as failed:
        return KvmDevice(KvmState.BROKEN, f"KVM_GET_API_VERSION: {failed.strerror}")
    finally:
        os.close(fd)
    if version != _STABLE_API:
        return KvmDevice(KvmState.BROKEN, f"KVM_GET_API_VERSION is {version}, not {_STABLE_API}")
    return KvmDevice(KvmState.OPENS, "not probed: VMM not built")

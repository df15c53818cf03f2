# SPDX-License-Identifier: GPL-2.0-only
"""The compiled core from Python, with a payload that spins on the host's own KVM."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import ModuleType

import pytest

from kvm.vm import MachineSpec

_SPIN = b"\xeb\xfe"  # jmp $
_LIMIT_S = 30.0


@pytest.fixture
def spec(core: ModuleType, tmp_path: Path) -> MachineSpec:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kvm here")
    kernel = tmp_path / "spin"
    kernel.write_bytes(_SPIN)
    return MachineSpec(kernel, None, "", vcpus=1, payload=True, protocol="flat")


def test_a_machine_may_be_closed_while_other_threads_use_it(spec: MachineSpec) -> None:
    from kvm.vm import Machine

    machine = Machine(spec)
    machine.start()
    ends: list[object] = []

    def ask_until_closed() -> None:
        try:
            while True:
                machine.exits()
                machine.balloon()
        except RuntimeError as error:
            ends.append(str(error))

    threads = [
        threading.Thread(target=lambda: ends.append(machine.wait(_LIMIT_S)), daemon=True),
        threading.Thread(target=ask_until_closed, daemon=True),
    ]
    for thread in threads:
        thread.start()
    assert machine.wait(0.05) is None
    machine.__exit__(None, None, None)
    for thread in threads:
        thread.join(_LIMIT_S)
    assert len(ends) == len(threads)
    assert "the machine is closed" in ends
    assert [end.reason for end in ends if hasattr(end, "reason")] == ["stopped"]

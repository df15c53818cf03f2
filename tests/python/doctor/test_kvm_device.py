# SPDX-License-Identifier: GPL-2.0-only
"""kvm.doctor.kvm_device: opening is not enough; only a guest that ran makes it usable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from kvm.doctor import kvm_device
from kvm.doctor.kvm_device import KvmDevice, KvmState, ProbeResult, examine
from kvm.errors import UserError


@dataclass(frozen=True)
class _Result:
    state: str
    detail: str
    nested: bool = False


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that opens and answers KVM_GET_API_VERSION."""
    unprobed = KvmDevice(KvmState.OPENS, "not probed: VMM not built")
    monkeypatch.setattr(kvm_device, "_open", lambda device: unprobed)


def test_no_device_is_absent(tmp_path: Path) -> None:
    assert examine(None, tmp_path / "kvm").state is KvmState.ABSENT


def test_a_file_that_is_no_kvm_is_broken(tmp_path: Path) -> None:
    (tmp_path / "kvm").touch()
    found = examine(None, tmp_path / "kvm")
    assert found.state is KvmState.BROKEN
    assert "KVM_GET_API_VERSION" in found.detail


def test_no_guest_is_tried_on_a_device_that_does_not_open(tmp_path: Path) -> None:
    def probe() -> ProbeResult:
        raise AssertionError("probed")

    assert examine(probe, tmp_path / "kvm").state is KvmState.ABSENT


@pytest.mark.usefixtures("opens")
def test_without_a_probe_it_merely_opens() -> None:
    assert examine(None).state is KvmState.OPENS


@pytest.mark.usefixtures("opens")
@pytest.mark.parametrize("state", ["absent", "denied", "broken", "usable"])
def test_the_probe_guest_has_the_last_word(state: str) -> None:
    found = examine(lambda: _Result(state, "its words", nested=True))
    assert found == KvmDevice(KvmState(state), "its words", nested=True)


@pytest.mark.usefixtures("opens")
def test_a_probe_that_can_not_start_is_told_not_raised() -> None:
    def probe() -> ProbeResult:
        raise UserError("the extension is missing")

    found = examine(probe)
    assert found.state is KvmState.OPENS
    assert "the extension is missing" in found.detail

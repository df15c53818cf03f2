# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.choose: native only on proof, which is requested only once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.host import choose as choosing
from kvm.host.choose import HostKind, ProbeResult, choose, kvm_probe, lab_accelerator
from kvm.host.qemu import Accelerator

_USABLE = ProbeResult("usable", "a guest ran", nested=True)
_BROKEN = ProbeResult("broken", "KVM_EXIT_INTERNAL_ERROR")


def _never() -> ProbeResult:
    raise AssertionError("probed without need")


def test_auto_takes_native_only_after_a_guest_ran() -> None:
    assert choose("auto", lambda: _USABLE).kind is HostKind.NATIVE


@pytest.mark.parametrize("state", ["absent", "denied", "broken"])
def test_auto_takes_a_lab_host_otherwise_and_says_why(state: str) -> None:
    choice = choose("auto", lambda: ProbeResult(state, "the reason"))
    assert choice.kind is HostKind.LAB
    assert state in choice.why
    assert "the reason" in choice.why


def test_lab_does_not_probe() -> None:
    assert choose("lab", _never).kind is HostKind.LAB


def test_native_on_a_broken_kvm_is_refused_with_the_way_out() -> None:
    with pytest.raises(UserError, match="INTERNAL_ERROR") as refused:
        choose("native", lambda: _BROKEN)
    assert "--host lab" in refused.value.hint


def test_an_unknown_host_is_refused() -> None:
    with pytest.raises(UserError, match="'cloud'"):
        choose("cloud", _never)


def test_a_lab_host_gets_kvm_only_when_it_nests() -> None:
    assert lab_accelerator(lambda: _USABLE) is Accelerator.KVM
    assert lab_accelerator(lambda: ProbeResult("usable", "")) is Accelerator.TCG
    assert lab_accelerator(lambda: _BROKEN) is Accelerator.TCG


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    monkeypatch.setattr(choosing, "_DEVICE", path)
    return path


def _core(folder: Path, body: str) -> Path:
    """An artifact whose core's probe is this Python code."""
    package = folder / "kvm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "_core.py").write_text(body)
    return folder


_FOUND = "class R: state, detail, nested = 'usable', 'a guest ran', True\n"


def test_the_probe_is_remembered(tmp_path: Path, device: Path) -> None:
    artifact = _core(tmp_path / "a", _FOUND + "def probe(timeout_s): return R()\n")
    assert kvm_probe(artifact, tmp_path) == _USABLE
    (artifact / "kvm" / "_core.py").write_text("raise SystemExit('asked twice')")
    assert kvm_probe(artifact, tmp_path) == _USABLE


def test_another_artifact_is_probed_anew(tmp_path: Path, device: Path) -> None:
    kvm_probe(_core(tmp_path / "a", _FOUND + "def probe(timeout_s): return R()\n"), tmp_path)
    crashes = _core(tmp_path / "b", "import os\ndef probe(timeout_s): os.abort()\n")
    assert kvm_probe(crashes, tmp_path) == ProbeResult("broken", "the probe was ended by signal 6")


def test_a_probe_that_hangs_is_broken(
    tmp_path: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_PROCESS_S", 0.5)
    artifact = _core(tmp_path / "a", "import time\ndef probe(timeout_s): time.sleep(60)\n")
    found = kvm_probe(artifact, tmp_path)
    assert found.state == "broken"
    assert "did not end" in found.detail


def test_a_slow_answer_is_not_remembered(
    tmp_path: Path, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "_PROCESS_S", 0.5)
    artifact = _core(tmp_path / "a", "import time\ndef probe(timeout_s): time.sleep(60)\n")
    assert kvm_probe(artifact, tmp_path).state == "broken"
    monkeypatch.setattr(choosing, "_PROCESS_S", 15.0)
    (artifact / "kvm" / "_core.py").write_text(_FOUND + "def probe(timeout_s): return R()\n")
    assert kvm_probe(artifact, tmp_path) == _USABLE


def test_a_kvm_that_was_loaded_again_is_probed_anew(tmp_path: Path, device: Path) -> None:
    artifact = _core(tmp_path / "a", "import os\ndef probe(timeout_s): os.abort()\n")
    assert kvm_probe(artifact, tmp_path).state == "broken"
    (artifact / "kvm" / "_core.py").write_text(_FOUND + "def probe(timeout_s): return R()\n")
    device.rename(device.with_name("old"))
    device.touch()
    assert kvm_probe(artifact, tmp_path) == _USABLE


def test_a_probe_that_cannot_run_is_an_error_not_a_verdict(tmp_path: Path, device: Path) -> None:
    with pytest.raises(UserError, match="no symbol"):
        kvm_probe(_core(tmp_path / "a", "raise ImportError('no symbol')"), tmp_path)


def test_no_device_needs_no_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_DEVICE", tmp_path / "nothing")
    assert kvm_probe(tmp_path, tmp_path).state == "absent"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_device_one_may_not_open_is_denied(tmp_path: Path, device: Path) -> None:
    device.chmod(0)
    assert kvm_probe(tmp_path, tmp_path).state == "denied"

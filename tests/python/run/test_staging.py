# SPDX-License-Identifier: GPL-2.0-only
"""A lab host gets the user's own files, and the user gets back what was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.project import Project
from kvm.run.staging import staged
from kvm.vm.spec import DiskSpec, MachineSpec, ShareSpec


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "checkout" / "build" / "run").mkdir(parents=True)
    return Project(tmp_path / "checkout")


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    for name in ("kernel", "disk"):
        (tmp_path / name).write_bytes(name.encode())
    return MachineSpec(tmp_path / "kernel", None, "", disks=(DiskSpec(tmp_path / "disk"),))


def test_the_native_host_uses_files_where_they_are(project: Project, spec: MachineSpec) -> None:
    with staged(spec, "native", project, project.build / "run") as files:
        assert files.spec == spec


def test_what_the_guest_writes_reaches_the_user_s_disk(project: Project, spec: MachineSpec) -> None:
    with staged(spec, "lab", project, project.build / "run") as files:
        assert files.spec.disks[0].path.parent == project.build / "run"
        files.spec.disks[0].path.write_bytes(b"written")
        message = f"disk {files.spec.disks[0].path}: too small"
        assert files.in_user_s_words(message) == f"disk {spec.disks[0].path}: too small"
    assert spec.disks[0].path.read_bytes() == b"written"
    assert not list((project.build / "run").iterdir())


def test_a_disk_on_another_file_system_is_copied_both_ways(
    project: Project, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    with staged(spec, "lab", project, project.build / "run") as files:
        assert files.spec.kernel.read_bytes() == b"kernel"
        files.spec.disks[0].path.write_bytes(b"written")
        assert spec.disks[0].path.read_bytes() == b"disk"
    assert spec.disks[0].path.read_bytes() == b"written"


def test_built_artifacts_are_not_staged(project: Project) -> None:
    kernel = project.cache / "kernels" / "id" / "vmlinux"
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b"x")
    with staged(MachineSpec(kernel, None, ""), "lab", project, project.build / "run") as f:
        assert f.spec.kernel == kernel


def test_a_lab_host_finds_backing_files_where_the_image_was(
    project: Project, tmp_path: Path
) -> None:
    image = tmp_path / "disk.qcow2"
    image.write_bytes(b"x")
    (tmp_path / "kernel").write_bytes(b"x")
    spec = MachineSpec(tmp_path / "kernel", None, "", disks=(DiskSpec(image, format="qcow2"),))
    with staged(spec, "lab", project, project.build / "run") as files:
        assert files.spec.disks[0].path != image
        assert files.spec.disks[0].backing_folder == tmp_path


def test_a_lab_host_writes_shares_only_where_it_can(project: Project, tmp_path: Path) -> None:
    (tmp_path / "kernel").write_bytes(b"x")
    spec = MachineSpec(tmp_path / "kernel", None, "")

    def stage(share: ShareSpec, host: str) -> None:
        with staged(replace(spec, shares=(share,)), host, project, project.build / "run") as files:
            assert files.spec.shares == (share,)

    stage(ShareSpec(tmp_path, "t", read_only=True), "lab")
    stage(ShareSpec(project.build, "t"), "lab")
    stage(ShareSpec(tmp_path, "t"), "native")
    with pytest.raises(UserError, match="can't write to"):
        stage(ShareSpec(tmp_path, "t"), "lab")

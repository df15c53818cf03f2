# SPDX-License-Identifier: GPL-2.0-only
"""A lab host gets the user's own files, and no copy of any."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from kvm.errors import UserError
from kvm.host.base import Host
from kvm.host.native import NativeHost
from kvm.host.qemu import LabMachine
from kvm.matrix import qcow2
from kvm.project import Project
from kvm.run.staging import _exposed_processes, staged
from kvm.spec.disk import DiskSpec
from kvm.spec.machine import MachineSpec
from kvm.spec.network import Forward, NetKind, NetSpec
from kvm.spec.share import ShareSpec

FILES = Path("/proc/fs/files")


@dataclass
class FakeLab:
    """The part of a lab host that staging uses: where its machine has our files."""

    machine: LabMachine
    name: str = "lab"
    uplink: str = "198.51.100.0/24"
    lent: list[tuple[str, str]] = field(default_factory=list)

    def lend_ports(self, pairs: Sequence[tuple[Forward, Forward]]) -> FakeLab:
        self.lent += [(ours.host, theirs.host) for ours, theirs in pairs]
        return self

    def close(self) -> None:
        self.lent.clear()

    @property
    def disk_folders(self) -> tuple[Path, ...]:
        return self.machine.exports

    def seen(self, path: Path) -> Path:
        return self.machine.seen(path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "checkout" / "build" / "run").mkdir(parents=True)
    return Project(tmp_path / "checkout")


@pytest.fixture
def run_dir(project: Project) -> Path:
    return project.build / "run"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere" / ".tools-kvm-1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def lab(project: Project, export: Path) -> Host:
    machine = LabMachine(Path("/k"), Path("/i"), share=project.build, exports=(export,))
    return cast(Host, FakeLab(machine))


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    for name in ("kernel", "disk"):
        (tmp_path / name).write_bytes(name.encode())
    return MachineSpec(tmp_path / "kernel", None, "", disks=(DiskSpec(tmp_path / "disk"),))


@pytest.fixture
def links_only_beside(export: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the disks and the export were on one file system, and the run's folder on another."""
    link = os.link

    def link_there(source: Path, target: Path) -> None:
        if target.parent != export:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        link(source, target)

    monkeypatch.setattr("os.link", link_there)
    yield


def test_the_native_host_uses_files_where_they_are(
    project: Project, spec: MachineSpec, run_dir: Path
) -> None:
    with staged(spec, NativeHost(), project, run_dir) as files:
        assert files.spec == spec


def test_what_the_guest_writes_is_in_the_users_disk_at_once(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host
) -> None:
    with staged(spec, lab, project, run_dir) as files:
        link = files.spec.disks[0].path
        assert link == run_dir / "disk0-disk"
        link.write_bytes(b"written")
        assert spec.disks[0].path.read_bytes() == b"written"
        assert files.with_user_paths(f"disk {link}: too small") == (
            f"disk {spec.disks[0].path}: too small"
        )
    assert not list(run_dir.iterdir())


@pytest.mark.usefixtures("links_only_beside")
def test_a_disk_on_another_file_system_is_linked_there_not_copied(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host, export: Path
) -> None:
    with staged(spec, lab, project, run_dir) as files:
        seen = files.spec.disks[0].path
        assert seen == Path("/proc/fs/disks0/run-disk0-disk")
        assert (export / seen.name).samefile(spec.disks[0].path)
        assert not list(run_dir.iterdir())
        assert files.with_user_paths(f"disk {seen}: x") == f"disk {spec.disks[0].path}: x"
    assert not list(export.iterdir())


def test_what_is_only_read_is_read_where_it_is(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host
) -> None:
    disk = replace(spec.disks[0], read_only=True)
    with staged(replace(spec, disks=(disk,)), lab, project, run_dir) as files:
        assert files.spec.kernel == FILES / spec.kernel.relative_to("/")
        assert files.spec.disks[0].path == FILES / disk.path.relative_to("/")
        assert not list(run_dir.iterdir())
        message = f"kernel {files.spec.kernel}: no ELF file"
        assert files.with_user_paths(message) == f"kernel {spec.kernel}: no ELF file"


def test_a_disk_that_can_have_no_second_name_is_refused_with_the_reason(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("os.link", refuse)
    with (
        pytest.raises(UserError, match=r"disk: a hard link .* \(Operation not permitted\)"),
        staged(spec, lab, project, run_dir),
    ):
        pass


def test_what_fails_later_leaves_no_link_behind(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host, tmp_path: Path
) -> None:
    """Whatever fails: a share that can't be written, or another disk."""
    share = replace(spec, shares=(ShareSpec(tmp_path, "t"),))
    disks = replace(spec, disks=(*spec.disks, DiskSpec(tmp_path / "none")))
    for wrong in (share, disks):
        with pytest.raises(UserError), staged(wrong, lab, project, run_dir):
            pass
        assert not list(run_dir.iterdir())
    assert (tmp_path / "disk").stat().st_nlink == 1


def test_a_link_that_a_killed_command_left_is_replaced(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host
) -> None:
    (run_dir / "disk0-disk").write_bytes(b"another disk")
    with staged(spec, lab, project, run_dir) as files:
        assert files.spec.disks[0].path.samefile(spec.disks[0].path)


def test_two_machines_on_one_image_are_refused(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host
) -> None:
    """In one lab host or in two: the claim is on the user's file."""
    other = project.build / "other"
    other.mkdir()
    with (
        staged(spec, lab, project, run_dir),
        pytest.raises(UserError, match="another machine uses it"),
        staged(spec, lab, project, other),
    ):
        pass
    with staged(spec, lab, project, other):
        pass


def test_a_name_as_long_as_names_may_be_has_room_for_the_links(
    project: Project, run_dir: Path, lab: Host, tmp_path: Path
) -> None:
    (tmp_path / "kernel").write_bytes(b"x")
    image = tmp_path / ("é" * 127)
    image.write_bytes(b"x")
    spec = MachineSpec(tmp_path / "kernel", None, "", disks=(DiskSpec(image),))
    with staged(spec, lab, project, run_dir) as files:
        assert files.spec.disks[0].path.samefile(image)


def test_built_artifacts_are_read_through_the_lab_hosts_cache(
    project: Project, run_dir: Path, lab: Host
) -> None:
    kernel = project.cache / "kernels" / "id" / "vmlinux"
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b"x")
    with staged(MachineSpec(kernel, None, ""), lab, project, run_dir) as files:
        assert files.spec.kernel == kernel


def test_a_lab_host_finds_backing_files_where_the_image_was(
    project: Project, tmp_path: Path, run_dir: Path, lab: Host
) -> None:
    image = tmp_path / "disk.qcow2"
    image.write_bytes(b"x")
    (tmp_path / "kernel").write_bytes(b"x")
    spec = MachineSpec(tmp_path / "kernel", None, "", disks=(DiskSpec(image, format="qcow2"),))
    with staged(spec, lab, project, run_dir) as files:
        assert files.spec.disks[0].path != image
        folder = files.spec.disks[0].backing_folder
        assert folder == FILES / tmp_path.relative_to("/")
        assert files.with_user_paths(f"{folder}/base: no such file") == (
            f"{tmp_path}/base: no such file"
        )


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/", "/srv/a b/proc"),
        ("/srv", "/srv/a b/proc"),
        ("/srv/a b/proc/1", "/srv/a b/proc"),
        ("/srv/other", None),
        ("/home", None),
        ("/run/x", "/run/x/proc"),
    ],
)
def test_a_proc_that_a_lab_host_could_not_tell_from_files_is_not_shared(
    folder: str, found: str | None
) -> None:
    mountinfo = (
        "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
        "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "28 27 0:25 / /home rw - tmpfs none rw\n"
        "29 27 0:26 / /srv/a\\040b/proc rw - proc none rw\n"
        "30 27 0:27 / /run/x/proc rw - proc none rw\n"
    )
    place = _exposed_processes(Path(folder), mountinfo)
    assert place == (None if found is None else Path(found))


def test_a_lab_host_writes_shares_only_where_it_can(
    project: Project, tmp_path: Path, run_dir: Path, lab: Host
) -> None:
    (tmp_path / "kernel").write_bytes(b"x")
    spec = MachineSpec(tmp_path / "kernel", None, "")

    def stage(share: ShareSpec, host: Host) -> None:
        with staged(replace(spec, shares=(share,)), host, project, run_dir) as files:
            assert files.spec.shares == (replace(share, path=host.seen(share.path)),)

    stage(ShareSpec(tmp_path, "t", read_only=True), lab)
    stage(ShareSpec(project.build, "t"), lab)
    stage(ShareSpec(tmp_path, "t"), NativeHost())
    # The cache is read-only there too: writes to it would stay in the lab host's memory.
    project.cache.mkdir(parents=True)
    for folder in (tmp_path, project.cache):
        with pytest.raises(UserError, match="can't write to"):
            stage(ShareSpec(folder, "t"), lab)


def test_what_a_user_names_is_read_where_a_lab_host_sees_it_change(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host, tmp_path: Path
) -> None:
    """Folders, a root, scripts, whatever link names them."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "up").write_text("#!/bin/sh\n")
    shares = (
        ShareSpec(tmp_path / "link", "s", read_only=True),
        ShareSpec(Path("/"), "root", read_only=True),
        ShareSpec(project.build, "b"),
    )
    net = NetSpec(NetKind.TAP, tap="t", script=str(tmp_path / "up"))
    named = replace(spec, shares=shares, nets=(net,))
    with staged(named, lab, project, run_dir) as files:
        seen = FILES / tmp_path.relative_to("/")
        assert [share.path for share in files.spec.shares] == [
            seen / "folder",
            FILES,
            project.build,
        ]
        assert files.spec.nets == (replace(net, script=str(seen / "up")),)
        for path in (seen / "folder" / "x", FILES / "etc" / "passwd"):
            told = files.with_user_paths(f"{path}: no")
            assert told in (f"{tmp_path}/link/x: no", "/etc/passwd: no")


def test_a_backing_file_is_read_there_whatever_its_name_says(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host, tmp_path: Path
) -> None:
    (tmp_path / "bases").mkdir()
    (tmp_path / "bases" / "base.raw").write_bytes(bytes(1 << 20))
    (tmp_path / "link").symlink_to(tmp_path / "bases")
    named = tmp_path / "link" / "base.raw"
    qcow2.create(tmp_path / "o.qcow2", 1 << 20, named)
    disk = DiskSpec(tmp_path / "o.qcow2", format="qcow2", backing=(tmp_path / "link",))
    with staged(replace(spec, disks=(disk,)), lab, project, run_dir) as files:
        seen = FILES / tmp_path.relative_to("/")
        (there,) = files.spec.disks
        assert there.backing_files == (seen / "bases" / "base.raw",)
        # The checkout is below the image's folder, and the host has it at another path.
        assert there.backing == (seen / "bases", project.build)
        assert files.with_user_paths(str(there.backing_files[0])) == str(named)


def test_ports_of_this_machine_lead_to_where_the_machine_in_a_lab_host_listens(
    project: Project, spec: MachineSpec, run_dir: Path, lab: Host
) -> None:
    def forward(port: int, guest: int, *, udp: bool = False, at: str = "127.0.0.1") -> Forward:
        return Forward(udp, at, port, guest)

    nets = (
        NetSpec(NetKind.USER, forwards=(forward(45017, 80), forward(45017, 81, at="127.0.0.2"))),
        NetSpec(NetKind.TAP, tap="t"),
        NetSpec(NetKind.USER, forwards=(forward(45017, 53, udp=True),)),
    )
    fake = cast(FakeLab, lab)
    with staged(replace(spec, nets=nets), lab, project, run_dir) as files:
        assert [net.forwards for net in files.spec.nets] == [
            (forward(45017, 80, at="0.0.0.0"), forward(45018, 81, at="0.0.0.0")),
            (),
            (forward(45017, 53, udp=True, at="0.0.0.0"),),
        ]
        closed = ("198.51.100.0/24",)
        assert [net.closed for net in files.spec.nets] == [closed, (), closed]
        assert fake.lent == [
            ("tcp:127.0.0.1:45017", "tcp:0.0.0.0:45017"),
            ("tcp:127.0.0.2:45017", "tcp:0.0.0.0:45018"),
            ("udp:127.0.0.1:45017", "udp:0.0.0.0:45017"),
        ]
    assert fake.lent == []
    fake.uplink = ""
    with (
        pytest.raises(UserError, match=r"hostfwd tcp:127\.0\.0\.1:45017: .* no user network"),
        staged(replace(spec, nets=nets), lab, project, run_dir),
    ):
        pass
    with staged(replace(spec, nets=(NetSpec(NetKind.USER),)), lab, project, run_dir) as files:
        assert files.spec.nets == (NetSpec(NetKind.USER),)

# SPDX-License-Identifier: GPL-2.0-only
"""A user's options are checked before anything is built, and can be written out again."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.run.machine import command_line, environment_in_guest
from kvm.spec.disk import DiskSpec
from kvm.spec.machine import parse_memory
from kvm.spec.share import ShareSpec
from support.asked import boot_options


@pytest.mark.parametrize(
    ("text", "mib"), [("512", 512), ("512M", 512), ("2G", 2048), ("1GiB", 1024), ("65536k", 64)]
)
def test_memory_is_read_in_the_usual_units(text: str, mib: int) -> None:
    assert parse_memory(text) == mib


@pytest.mark.parametrize("text", ["", "lots", "-1", "8M", "1.5G"])
def test_bad_memory_names_the_value(text: str) -> None:
    with pytest.raises(UserError, match="--memory"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "mars"}, "--host mars"),
        ({"vcpus": 0}, "--cpus 0"),
        ({"transport": "vme"}, "--transport vme"),
        ({"ring": "round"}, "--ring round"),
        ({"kvm_device": "kvm"}, "--kvm-device kvm"),
        ({"vfio_pci": ("00:10.0",)}, "--vfio-pci 00:10.0"),
        ({"vfio_pci": ("0000:00:20.0",)}, "--vfio-pci 0000:00:20.0"),
        ({"lab_devices": ("edu",), "host": "native"}, "--lab-device with --host native"),
        ({"vcpus": 300}, "--cpus 300"),
        ({"timeout_s": 0.0}, "above 0"),
        ({"kernel": Path("/nowhere/vmlinux")}, "/nowhere/vmlinux"),
        ({"shell": True, "command": ("ls",)}, "--shell"),
        ({"shell": True, "stdin": False}, "--no-stdin"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        boot_options(**options).check()


def test_the_repeat_command_says_the_same() -> None:
    options = boot_options(command=("sh", "-c", "exit 7"), vcpus=2, append="a=1 b", memory_mib=512)
    words = shlex.split(options.arguments())
    assert "--no-stdin" in shlex.split(replace(options, stdin=False).arguments())
    assert words == ["--cpus=2", "--memory=512M", "--append=a=1 b", "--", "sh", "-c", "exit 7"]


def test_a_machine_without_pci_tells_its_kernel_so() -> None:
    assert "pci=off" in command_line(boot_options()).split()
    assert "pci=off" not in command_line(boot_options(transport="pci")).split()


def test_transport_and_ring_are_said_again() -> None:
    words = boot_options(transport="pci", ring="packed").arguments()
    assert words == "--transport=pci --ring=packed"


def test_the_users_words_come_last_on_the_command_line() -> None:
    assert command_line(boot_options(append="panic=0")).endswith(" panic=0")


def test_a_disk_has_one_mode(tmp_path: Path) -> None:
    path = tmp_path / "d"
    assert DiskSpec.parse(f"{path}") == DiskSpec.parse(f"{path},rw") == DiskSpec(path)
    assert DiskSpec.parse(f"{path},ro") == DiskSpec(path, read_only=True)
    assert DiskSpec.parse(f"{path},volatile") == DiskSpec(path, volatile=True)
    assert DiskSpec.parse(f"{path},transient") == DiskSpec(path, transient=True)


def test_a_disk_has_the_format_that_is_said_or_that_its_name_says(tmp_path: Path) -> None:
    image = tmp_path / "d.qcow2"
    assert DiskSpec.parse(f"{image}") == DiskSpec(image, format="qcow2")
    assert DiskSpec.parse(f"{image},raw,direct") == DiskSpec(image, direct=True, format_said=True)
    other = tmp_path / "d.img"
    assert DiskSpec.parse(f"{other},qcow2,ro") == DiskSpec(
        other, read_only=True, format="qcow2", format_said=True
    )


def test_a_disk_has_the_backing_files_that_are_named(tmp_path: Path) -> None:
    image = tmp_path / "d.qcow2"
    disk = DiskSpec.parse(f"{image},backing={tmp_path},ro,backing=/b")
    assert disk == DiskSpec(image, True, format="qcow2", backing=(tmp_path, Path("/b")))


def test_a_share_has_the_name_of_its_folder_unless_it_is_given_one(tmp_path: Path) -> None:
    assert ShareSpec.parse(f"{tmp_path}") == ShareSpec(tmp_path, tmp_path.name)
    assert ShareSpec.parse(f"{tmp_path},ro,tag=work") == ShareSpec(tmp_path, "work", read_only=True)
    with pytest.raises(UserError, match="unknown word 'wr'"):
        ShareSpec.parse(f"{tmp_path},wr")


def test_the_guest_is_told_what_to_mount(tmp_path: Path) -> None:
    options = boot_options(shares=(f"{tmp_path},tag=a", f"{tmp_path},ro,tag=b"))
    assert "toolskvm.shares=a,b:ro" in command_line(options).split()
    assert options.arguments() == f"--share={tmp_path},tag=a --share={tmp_path},ro,tag=b"
    assert "toolskvm.shares" not in command_line(boot_options())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("d,wo", "unknown mode 'wo'"),
        ("d,ro,volatile", "can't be combined, as in 'ro,volatile'"),
        ("d,volatile,rw", "can't be combined, as in 'volatile,rw'"),
        ("d,transient,ro", "can't be combined, as in 'transient,ro'"),
        ("d,raw,qcow2", "can't be combined, as in 'raw,qcow2'"),
        ("d,direct,direct", "can't be combined, as in 'direct,direct'"),
        ("d,backing=", "backing= names nothing"),
        ("d,backing", "unknown mode 'backing'"),
    ],
)
def test_a_bad_disk_mode_is_named(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        DiskSpec.parse(text)


def test_the_guests_init_is_told_what_it_is_to_find() -> None:
    asked = boot_options(
        disks=("a.raw", "b.raw,ro"),
        nets=("user",),
        vsock="v",
        balloon_mib=0,
        vfio_pci=("0000:00:10.0",),
        vnc="auto",
        ttys=(2,),
        transport="pci",
    )
    wants = "toolskvm.wants=pci,disk:2,net:1,vsock:1,balloon:1,pci:1,input:2,display:1,tty:2"
    assert wants in command_line(asked).split()
    # A machine without these has no further word on its command line.
    assert "toolskvm" not in command_line(boot_options())


def test_a_command_in_our_own_root_starts_where_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "root" / "folder" / "some one"
    here.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    monkeypatch.chdir(here)
    monkeypatch.setattr("os.getuid", lambda: 0)

    def known(root: str | Path) -> dict[str, str]:
        return environment_in_guest(boot_options(root=str(root)))

    assert known("/") == {"PWD": str(here.resolve())}
    for root in ("root", "link"):
        assert known(tmp_path / root) == {"PWD": "/folder/some one"}
    assert known(here) == {"PWD": "/"}
    assert known("/usr") == known("") == {}
    monkeypatch.setattr("os.getuid", lambda: 1000)
    assert known("/usr") == {"SUDO_UID": "1000"}

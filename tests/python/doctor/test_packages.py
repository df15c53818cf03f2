# SPDX-License-Identifier: GPL-2.0-only
"""kvm.doctor.packages, and the bootstrap script, which must read the list in the same way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kvm import process
from kvm.doctor import packages
from kvm.doctor.packages import Family, Package
from kvm.project import Project
from support.odd import ODD


def _package(*probes: str) -> Package:
    return Package("d", "f", "a", probes)


def test_parse_reads_names_and_alternative_probes() -> None:
    text = "# comment\n\nlibc6-dev  glibc-static  glibc  /a|/b\n"
    assert packages.parse(text) == (Package("libc6-dev", "glibc-static", "glibc", ("/a", "/b")),)


def test_the_repository_list_parses(listed: tuple[Package, ...]) -> None:
    assert {"g++", "qemu-system-x86", "busybox-static"} <= {p.debian for p in listed}


@pytest.mark.parametrize(
    ("os_release", "expected"),
    [
        ("ID=debian\n", Family.DEBIAN),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', Family.DEBIAN),
        ("ID=fedora\n", Family.FEDORA),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', Family.FEDORA),
        ("ID=endeavouros\nID_LIKE=arch\n", Family.ARCH),
        ("", Family.DEBIAN),
    ],
)
def test_family_by_os_release(os_release: str, expected: Family) -> None:
    assert packages.family(os_release) is expected


def test_install_command_names_each_package_once() -> None:
    command = packages.install_command((_package("x"), _package("y")), Family.ARCH)
    assert command == "sudo pacman -S --needed a"


def test_probes_find_commands_files_and_globs(tmp_path: Path) -> None:
    (tmp_path / "libx.so.1").touch()
    assert packages.present(_package("sh"))
    assert packages.present(_package(f"{tmp_path}/libx.so.*"))
    assert packages.present(_package("python:interpreter"))
    assert not packages.present(_package("no-such-command"))
    assert not packages.present(_package(f"{tmp_path}/liby*"))


def test_any_probe_of_several_is_enough() -> None:
    assert packages.present(_package("/no/such/file", "sh"))


def test_a_dynamic_program_is_not_static(tmp_path: Path) -> None:
    dynamic = tmp_path / "dynamic"
    dynamic.write_bytes(b"\x7fELF" + bytes(60) + b"/lib64/ld-linux-x86-64.so.2\0")
    static = tmp_path / "static"
    # A static libc also contains the loader's name, but far from the start.
    static.write_bytes(b"\x7fELF" + bytes(100_000) + b"/lib64/ld-linux-x86-64.so.2\0")
    assert not packages.is_static(dynamic)
    assert packages.is_static(static)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A checkout with only the bootstrap script and a list that nothing satisfies."""
    (tmp_path / "ci").mkdir()
    shutil.copy2(Project.find().root / "ci" / "bootstrap", tmp_path / "ci")
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_bootstrap_names_what_is_missing_for_each_distribution(scratch: Path) -> None:
    (scratch / "ci" / "packages.txt").write_text(
        "# comment\n"
        "present-d present-f present-a sh\n"
        "one-d one-f one-a no-such-command\n"
        "two-d two-f two-a /no/such/*.h|/nor/this\n"
    )
    done = process.run(
        (scratch / "ci" / "bootstrap",), env={"NO_SYSTEM_PACKAGES": "1"}, check=False, timeout_s=60
    )
    assert done.returncode == 125  # no verdict, for git bisect run
    assert "apt-get install --no-install-recommends one-d two-d\n" in done.output
    assert "dnf install one-f two-f\n" in done.output
    assert "pacman -S --needed one-a two-a\n" in done.output
    assert "present" not in done.output
    assert not (scratch / ".venv").exists()


@pytest.mark.parametrize("odd", ODD)
def test_bootstrap_refuses_a_folder_that_make_cannot_take(tmp_path: Path, odd: str) -> None:
    root = tmp_path / f"my{odd}checkout"
    (root / "ci").mkdir(parents=True)
    for name in ("invoke", "ci/bootstrap"):
        shutil.copy2(Project.find().root / name, root / name)
    done = process.run((root / "invoke", "--list"), check=False, timeout_s=60)
    assert done.returncode == 125, done.output
    assert "make cannot build a kernel in a path with" in done.output
    assert sorted(p.name for p in root.iterdir()) == ["ci", "invoke"]

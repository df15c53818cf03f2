# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's modules are kept beside its image, in an order in which they can be inserted."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm import process
from kvm.kernel import modules

_SOURCE = """
const char info[] __attribute__((section(".modinfo"))) =
    "license=GPL\\0depends={needs}\\0name={name}";
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def _build(out: Path, **needs: str) -> None:
    """Modules by the names of their files, in the order of kbuild's list."""
    listed = []
    for name, others in needs.items():
        source = out / f"{name}.c"
        source.write_text(_SOURCE.format(needs=others, name=name))
        file = name.replace("_", "-")
        process.run(("gcc", "-c", "-g", source, "-o", out / f"{file}.ko"), timeout_s=60)
        listed.append(f"{file}.o\n")
    (out / "modules.order").write_text("".join(listed))


def _keep(out: Path, kernel: Path) -> None:
    modules.keep([out / name for name in modules.listed(out)], kernel)


def test_each_comes_after_those_that_it_needs(out: Path, tmp_path: Path) -> None:
    _build(out, kvm_amd="kvm,irqbypass", kvm="irqbypass,not_here", irqbypass="", other="")
    _keep(out, tmp_path)
    kept = modules.kept(tmp_path)
    assert {path.name for path in kept} == {"kvm-amd.ko", "kvm.ko", "irqbypass.ko"}
    names = [path.name for path in kept]
    assert names.index("irqbypass.ko") < names.index("kvm.ko") < names.index("kvm-amd.ko")
    assert all(path.is_file() for path in kept)
    assert b".debug_info" not in kept[0].read_bytes()


def test_a_kernel_without_modules_keeps_none_of_an_earlier_build(out: Path, tmp_path: Path) -> None:
    _build(out, kvm="")
    _keep(out, tmp_path)
    (out / "modules.order").unlink()
    _keep(out, tmp_path)
    assert modules.kept(tmp_path) == ()
    assert not (tmp_path / modules.FOLDER).exists()

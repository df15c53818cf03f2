# SPDX-License-Identifier: GPL-2.0-only
"""Fragments resolve on the real tree, and a symbol that gets lost is explained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.kernel import config, identity, tree
from kvm.kernel.config import ConfigSpec
from kvm.kernel.toolchain import Toolchain
from kvm.kernel.tree import Mode, Tree
from kvm.project import Project
from support.prepared import require


@pytest.fixture(scope="module")
def linux() -> Tree:
    found = tree.locate(Project.find())
    there = (found.path / "Makefile").exists()
    require(there, "there is no kernel tree yet", "./invoke kernel.tree")
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One build folder for all tests, so that kbuild compiles its config tools once."""
    return tmp_path_factory.mktemp("out")


def resolve(linux: Tree, out: Path, *items: str, name: str = "default") -> str:
    spec = ConfigSpec.named(name, Project.find().linux / "configs", items)
    source = identity.source_id(linux)
    return config.resolve(linux, spec, source, Toolchain.from_environment(), out, lambda text: None)


@pytest.mark.parametrize("name", ["default", "debug", "kunit", "vfio", "builtin"])
def test_every_config_of_ours_resolves(linux: Tree, out: Path, name: str) -> None:
    text = resolve(linux, out, name=name)
    assert f"CONFIG_KVM_AMD={'y' if name == 'builtin' else 'm'}" in text
    assert "CONFIG_VIRTIO_MMIO=y" in text


def test_an_unchanged_request_does_not_touch_the_config(linux: Tree, out: Path) -> None:
    resolve(linux, out)
    before = (out / ".config").stat().st_mtime_ns
    resolve(linux, out)
    assert (out / ".config").stat().st_mtime_ns == before


def test_a_lost_symbol_names_what_it_depends_on(linux: Tree, out: Path) -> None:
    with pytest.raises(UserError) as lost:
        resolve(linux, out, "CONFIG_VHOST_SCSI=y")
    assert "--configitem CONFIG_VHOST_SCSI=y" in lost.value.message
    assert "drivers/vhost/Kconfig" in lost.value.message
    assert "depends on TARGET_CORE && EVENTFD" in lost.value.message


def test_a_foreign_tree_need_not_have_the_symbols_of_our_patches(
    linux: Tree, out: Path, tmp_path: Path
) -> None:
    ours = tmp_path / "default.config"
    ours.write_text("CONFIG_PRINTK=y\nCONFIG_ONLY_IN_A_PATCH_OF_OURS=y\n")
    spec = ConfigSpec.named("default", tmp_path)
    said: list[str] = []
    toolchain = Toolchain.from_environment()
    foreign = replace(linux, mode=Mode.EXTERNAL)
    text = config.resolve(foreign, spec, identity.source_id(linux), toolchain, out, said.append)
    assert "CONFIG_PRINTK=y" in text
    assert "this tree has no CONFIG_ONLY_IN_A_PATCH_OF_OURS: left out" in said
    asked = ConfigSpec.named("default", tmp_path, ("CONFIG_ALSO_NOT_THERE=y",))
    with pytest.raises(UserError, match="ALSO_NOT_THERE"):
        config.resolve(foreign, asked, identity.source_id(linux), toolchain, out, said.append)


def test_an_unknown_symbol_offers_the_nearest(linux: Tree, out: Path) -> None:
    with pytest.raises(UserError, match="did you mean CONFIG_KVM_AMD"):
        resolve(linux, out, "CONFIG_KVM_AMDD=y")


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    fragment = tmp_path / "mine.config"
    fragment.write_text("CONFIG_A=y\nCONFIG B=y\n")
    spec = ConfigSpec.named(str(fragment), Project.find().linux / "configs")
    with pytest.raises(UserError, match=r"mine\.config:2: 'CONFIG B=y'"):
        spec.requests()


def test_an_unknown_config_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no kernel config 'debgu'") as unknown:
        ConfigSpec.named("debgu", Project.find().linux / "configs")
    assert "did you mean debug?" in unknown.value.hint

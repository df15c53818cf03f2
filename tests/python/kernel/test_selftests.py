# SPDX-License-Identifier: GPL-2.0-only
"""Selftests are built outside the tree, cached by their sources, and named when broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import BuildError
from kvm.kernel.git import Repository
from kvm.kernel.selftests import PROGRAMS, build_kselftests, build_kvm_selftests
from kvm.kernel.tree import Mode, Tree
from kvm.project import Project

MAKEFILE = """\
NAMES := x86_64/good other
TEST_GEN_PROGS := $(patsubst %,$(OUTPUT)/%,$(NAMES))
all: $(TEST_GEN_PROGS)
$(OUTPUT)/%: %.c
	@mkdir -p $(dir $@)
	$(CC) $< -o $@
"""
GOOD = "int main(void) { return 0; }\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Project(tmp_path / "checkout")


@pytest.fixture
def uapi(tmp_path: Path) -> Path:
    folder = tmp_path / "uapi" / "include"
    folder.mkdir(parents=True)
    (folder.parent / "source-id").write_text("headers")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "tree"
    suite = root / "tools" / "testing" / "selftests" / "kvm"
    (suite / "x86_64").mkdir(parents=True)
    (suite / "Makefile").write_text(MAKEFILE)
    (suite / "x86_64" / "good.c").write_text(GOOD)
    (suite / "other.c").write_text(GOOD)
    repository = Repository(root)
    repository.call("init", "--quiet")
    return Tree(root, Mode.EXTERNAL)


def _source(tree: Tree, name: str) -> Path:
    return tree.path / "tools" / "testing" / "selftests" / "kvm" / name


def test_the_makefile_decides_which_there_are(project: Project, tree: Tree, uapi: Path) -> None:
    folder = build_kvm_selftests(project, tree, uapi, lambda text: None)
    assert (folder / PROGRAMS).read_text().split() == ["x86_64/good", "other"]
    assert (folder / "x86_64" / "good").stat().st_mode & 0o100


def test_they_are_made_anew_only_when_a_source_changes(
    project: Project, tree: Tree, uapi: Path
) -> None:
    said: list[str] = []
    first = build_kvm_selftests(project, tree, uapi, said.append)
    steps = len(said)
    assert steps > 0
    (tree.path / "unrelated.c").write_text("x")
    assert build_kvm_selftests(project, tree, uapi, said.append) == first
    assert len(said) == steps
    _source(tree, "other.c").write_text(GOOD + "/* edited */\n")
    assert build_kvm_selftests(project, tree, uapi, said.append) != first


def test_nothing_is_written_into_the_tree(project: Project, tree: Tree, uapi: Path) -> None:
    before = sorted(path for path in tree.path.rglob("*") if ".git" not in path.parts)
    build_kvm_selftests(project, tree, uapi, lambda text: None)
    assert sorted(path for path in tree.path.rglob("*") if ".git" not in path.parts) == before


def test_one_that_does_not_compile_is_named_and_nothing_is_kept(
    project: Project, tree: Tree, uapi: Path
) -> None:
    _source(tree, "other.c").write_text("int main(void) { return undeclared; }\n")
    with pytest.raises(BuildError, match=r"do not compile: other\n") as failed:
        build_kvm_selftests(project, tree, uapi, lambda text: None)
    assert any("undeclared" in line for line in failed.value.errors)
    assert [p.name for p in (project.cache / "selftests").iterdir()] == ["lock"]


def test_a_chosen_one_that_is_not_there_is_named(project: Project, tree: Tree, uapi: Path) -> None:
    with pytest.raises(BuildError, match="absent"):
        build_kselftests(project, tree, uapi, {"kvm": ("other", "absent")}, lambda text: None)

# SPDX-License-Identifier: GPL-2.0-only
"""A VMM artifact has the content of the sources in its id, whatever their time stamps say.

The checkout is small: meson and ninja are real, the core is a few lines.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kvm.project import Project
from kvm.vm import build
from kvm.vm.build import Vmm

_FILES = {
    "meson.build": "project('small', 'cpp')\nsubdir('tools/kvm')\n",
    "meson.options": "option('core', type: 'feature')\noption('uapi_headers', type: 'string')\n",
    "tools/kvm/meson.build": "subdir('python/bindings')\n",
    "tools/kvm/python/bindings/meson.build": (
        "shared_module('_core', '../../src/core.cpp', name_prefix: '')\n"
    ),
    "tools/kvm/src/core.cpp": '#include "words.hpp"\nextern const char words[];\n'
    "const char words[] = WORDS;\n",
    "tools/kvm/src/words.hpp": '#define WORDS "first"\n',
    "build/uapi/source-id": "1234",
    "build/uapi/include/linux/kvm.h": "",
}
_MODULES = (
    "__init__",
    "errors",
    "process",
    "waiting",
    "spec/__init__",
    "vm/__init__",
    "guest/__init__",
)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "checkout"
    modules = {f"tools/kvm/python/kvm/{name}.py": "" for name in _MODULES}
    guest = {f"tools/kvm/python/kvm/guest/{name}.py": "" for name in ("events", "protocol")}
    for name, text in (_FILES | modules | guest).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(root)


def built(small: Project, said: list[str] | None = None) -> Vmm:
    uapi = small.build / "uapi" / "include"
    return build.build(small, uapi, (said if said is not None else []).append)


def core(vmm: Vmm) -> bytes:
    (found,) = (vmm.folder / "kvm").glob("_core*.so")
    return found.read_bytes()


@pytest.mark.parametrize("name", ["core.cpp", "words.hpp"])
def test_an_edit_that_looks_old_is_compiled(small: Project, name: str) -> None:
    before = built(small)
    path = small.root / "tools/kvm/src" / name
    path.write_text(path.read_text().replace("WORDS;", "WORDS WORDS;").replace("first", "again"))
    os.utime(path, (1e9, 1e9))
    after = built(small)
    assert after.id != before.id
    assert core(after) != core(before)


@pytest.mark.parametrize("name", ["CXXFLAGS", "CPPFLAGS"])
def test_a_flag_that_comes_later_is_in_the_id_and_in_the_bytes(
    small: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = small.root / "tools/kvm/src/core.cpp"
    source.write_text(source.read_text() + "#ifdef MORE\nint more;\n#endif\n")
    monkeypatch.delenv(name, raising=False)
    before = built(small)
    monkeypatch.setenv(name, "-DMORE")
    said: list[str] = []
    after = built(small, said)
    assert after.id != before.id
    assert core(after) != core(before)
    assert "building from nothing: the compiler or its flags changed" in said


def test_another_compiler_with_the_same_name_compiles_everything(
    small: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("CXX", "upgraded-c++")
    ids = set()
    for version in ("1.0", "2.0"):
        compiler = tools / "upgraded-c++"
        flag = "-O0" if version == "1.0" else "-DWORDS_ARE_LONGER"
        compiler.write_text(
            f'#!/bin/sh\n[ "$*" = --version ] && {{ echo "g++ (GCC) {version}"; '
            "echo Free Software Foundation; exit; }\n"
            f'exec c++ {flag} "$@"\n'
        )
        compiler.chmod(0o755)
        said: list[str] = []
        ids.add(built(small, said).id)
    assert len(ids) == 2
    assert "building from nothing: the compiler or its flags changed" in said

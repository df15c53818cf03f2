# SPDX-License-Identifier: GPL-2.0-only
"""The UAPI headers of older kernels mean the same in C++ as in C."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kvm import process
from kvm.project import Project

SHIM = Project.find().root / "tools/kvm/src/kvm/uapi"

# As installed by Linux 5.16 to 6.4; in C++ the array of an empty struct takes a byte.
_STDDEF = """
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) struct { struct { } __empty_ ## NAME; TYPE NAME[]; }
"""
_USER = """
#include <linux/stddef.h>
struct entry { unsigned long long word; };
struct alone { unsigned count, padding; __DECLARE_FLEX_ARRAY(struct entry, entries); };
struct united { unsigned count, padding; union { __DECLARE_FLEX_ARRAY(struct entry, some);
                                                 __DECLARE_FLEX_ARRAY(unsigned, others); }; };
static_assert(sizeof(alone) == 8);
static_assert(sizeof(united) == 8);
"""


@pytest.mark.parametrize("shim", [True, False])
def test_a_flexible_array_adds_nothing_to_what_ends_in_it(tmp_path: Path, shim: bool) -> None:
    """Without the shim it does add something, or the test would prove nothing."""
    (tmp_path / "uapi/linux").mkdir(parents=True)
    (tmp_path / "uapi/linux/stddef.h").write_text(_STDDEF)
    source = tmp_path / "user.cpp"
    source.write_text(_USER)
    compiler = shutil.which("g++") or "c++"
    found = ("-isystem", SHIM) if shim else ()
    argv = (compiler, "-std=c++20", "-fsyntax-only", *found, "-isystem", tmp_path / "uapi", source)
    assert process.run(argv, check=False, timeout_s=60).ok is shim

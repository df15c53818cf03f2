# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.bundle and launch: modules from one file behave like modules from many."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kvm.host.bundle import make_bundle
from kvm.host.inside import launch
from kvm.process import CommandError

_USE = """
import sys
sys.path.insert(0, {launch!r})
from launch import Bundle
Bundle({bundle!r}).install()
sys.path.clear()
import json, sample.inner
print(sample.inner.VALUE, sample.inner.__file__, sample.__path__, json.dumps([1]), sample.OPTION)
"""


@pytest.fixture
def search(tmp_path: Path) -> Path:
    package = tmp_path / "lib" / "sample"
    package.mkdir(parents=True)
    optional = (
        "try:\n    import no_such_module\n    OPTION = 1\nexcept ImportError:\n    OPTION = 0\n"
    )
    (package / "__init__.py").write_text(optional)
    (package / "inner.py").write_text("import json, binascii\nVALUE = 7\n")
    return package.parent


def test_modules_load_without_any_path(tmp_path: Path, search: Path) -> None:
    bundle = make_bundle(tmp_path, ("sample.inner",), search)
    folder = str(Path(launch.__file__).parent)
    script = _USE.format(launch=folder, bundle=str(bundle))
    done = subprocess.run(
        (sys.executable, "-I", "-S", "-c", script), capture_output=True, text=True, timeout=30
    )
    package = search / "sample"
    assert done.stdout == f"7 {package / 'inner.py'} {[str(package)]} [1] 0\n", done.stderr


def test_a_bundle_is_made_once(tmp_path: Path, search: Path) -> None:
    first = make_bundle(tmp_path, ("sample.inner",), search)
    assert make_bundle(tmp_path, ("sample.inner",), search) == first
    (search / "sample" / "other.py").write_text("not part of it")
    assert make_bundle(tmp_path, ("sample.inner",), search) == first


@pytest.mark.parametrize("name", ["__init__", "inner", "deeper"])
def test_a_change_of_anything_in_it_makes_another(tmp_path: Path, search: Path, name: str) -> None:
    deeper = search / "sample" / "deeper.py"
    deeper.write_text("DEPTH = 1\n")
    with (search / "sample" / "inner.py").open("a") as inner:
        inner.write("import sample.deeper\n")
    first = make_bundle(tmp_path, ("sample.inner",), search)
    with (search / "sample" / f"{name}.py").open("a") as module:
        module.write("MORE = 1\n")
    assert make_bundle(tmp_path, ("sample.inner",), search) != first


def test_a_module_that_does_not_import_leaves_no_bundle(tmp_path: Path, search: Path) -> None:
    with pytest.raises(CommandError, match=r"No module named 'sample\.nothing'"):
        make_bundle(tmp_path, ("sample.nothing",), search)
    assert list((tmp_path / "bundles").iterdir()) == []

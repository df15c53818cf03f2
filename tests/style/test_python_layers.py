# SPDX-License-Identifier: GPL-2.0-only
"""The harness' layering, which files may start processes, and which may use the extension module.

All of it is read from the syntax tree; imports inside functions count too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm import process
from support import layers
from support.layers import Layers

_PACKAGE = "tools/kvm/python/kvm/"
# Files that may start processes, each with its reason.
_MAY_START_PROCESSES = {
    "process.py": "the one place that does",
    "host/inside/zygote.py": "forks workers from a pre-imported image, which exec would throw away",
    "host/keeper.py": "outlives its caller and imports little: it is on the way of every boot",
    "bench/inside/vmms.py": "runs in the lab host, and forks workers as its agent does",
    "host/inside/sessions.py": "the agent's, where importing subprocess costs half a second",
}
_GROUND = "ground"  # the modules that are in no folder
_STARTERS = ("subprocess", "multiprocessing", "pty", "concurrent.futures.process")
_OS_STARTERS = ("system", "popen", "fork", "forkpty", "exec", "spawn", "posix_spawn")


@pytest.fixture(scope="module")
def modules(texts: dict[str, str]) -> dict[str, ast.Module]:
    """The package's modules by their path inside it, and tasks.py."""
    return {
        name.removeprefix(_PACKAGE): ast.parse(text, name)
        for name, text in texts.items()
        if name.endswith(".py") and (name.startswith(_PACKAGE) or name == "tasks.py")
    }


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module name that the tree imports, `from a import b` as both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            constants = (a.value for a in node.args if isinstance(a, ast.Constant))
            yield from (value for value in constants if isinstance(value, str))


def started(tree: ast.AST) -> Iterator[str]:
    """Every use of os that makes a process."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr.startswith(_OS_STARTERS)
        ):
            yield f"os.{node.attr}"


# Constants of subprocess (PIPE, DEVNULL) and its types start nothing.
def _harmless(name: str) -> bool:
    return name.startswith("subprocess.") and name.removeprefix("subprocess.") in (
        "PIPE",
        "DEVNULL",
        "STDOUT",
        "Popen",
        "TimeoutExpired",
    )


def _uses_subprocess_call(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "Popen" or called.startswith("subprocess."):
                yield called


@pytest.fixture(scope="module")
def allowed(texts: dict[str, str]) -> Layers:
    return layers.read(texts["ARCHITECTURE.md"], "The harness")


def folder_of(name: str) -> str:
    """``run/payload/run.py`` → "run", ``lock.py`` → "ground"."""
    first, slash, _ = name.partition("/")
    return first if slash else _GROUND


def uses(modules: dict[str, ast.Module]) -> dict[str, set[str]]:
    """For each module, the modules of the package that it imports."""
    names = {
        "kvm." + name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name
        for name in modules
    }
    return {
        name: {
            names[one]
            for one in imported(tree)
            if one in names and not _is_own_package(names[one], name)
        }
        for name, tree in modules.items()
    }


def _is_own_package(used: str, user: str) -> bool:
    """Whether an import is of the user's own folder, as ``from kvm.run import x`` within run/."""
    return user.startswith(used.removesuffix("__init__.py"))


def violations(used: dict[str, set[str]], allowed: Layers) -> list[str]:
    return [
        f"{name} imports {other}: {folder_of(name)} may not use {folder_of(other)}"
        for name, others in used.items()
        if name not in ("tasks.py", "__main__.py")
        for other in others
        if not layers.may_use(allowed, folder_of(name), folder_of(other))
    ]


def test_every_folder_has_a_place_in_the_layering(
    modules: dict[str, ast.Module], allowed: Layers
) -> None:
    assert {folder_of(name) for name in modules} == allowed.keys()


def test_imports_follow_the_layering(modules: dict[str, ast.Module], allowed: Layers) -> None:
    found = violations(uses(modules), allowed)
    assert not found, "\n".join(found)


def test_a_verdict_that_knows_how_it_is_reported_is_caught(allowed: Layers) -> None:
    assert violations({"verdict/judge.py": {"report/closing.py"}}, allowed)
    assert not violations({"report/closing.py": {"verdict/judge.py"}}, allowed)


def test_layering_has_no_circle(allowed: Layers) -> None:
    assert not layers.unplaced(allowed)


def test_no_two_files_import_each_other(modules: dict[str, ast.Module]) -> None:
    used = {name: frozenset(others) for name, others in uses(modules).items()}
    assert not layers.unplaced(used)


def test_only_the_process_module_starts_processes(modules: dict[str, ast.Module]) -> None:
    found = [
        f"{name}: {what}"
        for name, tree in modules.items()
        if name not in _MAY_START_PROCESSES
        for what in (
            *(n for n in imported(tree) if n in _STARTERS and n != "subprocess"),
            *_uses_subprocess_call(tree),
            *(n for n in imported(tree) if n.startswith("subprocess.") and not _harmless(n)),
            *started(tree),
        )
    ]
    assert not found, "use kvm.process: " + ", ".join(found)


def test_no_command_goes_through_a_shell(modules: dict[str, ast.Module]) -> None:
    found = [
        f"{name}:{node.value.lineno}"
        for name, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and isinstance(node.value, ast.Constant)
        and node.value.value
    ]
    assert not found, found


def test_only_the_vm_package_imports_the_extension(modules: dict[str, ast.Module]) -> None:
    found = [
        name
        for name, tree in modules.items()
        if not name.startswith("vm/") and "kvm._core" in imported(tree)
    ]
    assert not found, found


def test_everything_but_the_vm_imports_without_the_extension(
    modules: dict[str, ast.Module], root: Path
) -> None:
    # bench/inside runs in the lab host, with the extension.
    names = [
        "kvm." + name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in modules
        if not name.startswith(("vm/", "bench/inside/"))
        and not name.endswith(("__main__.py", "tasks.py"))
    ]
    script = "\n".join(
        ["import sys, importlib", "sys.modules['kvm._core'] = None"]
        + [f"importlib.import_module({n!r})" for n in names if n != "kvm.__init__"]
    )
    process.run((sys.executable, "-c", script), cwd=root, timeout_s=60)

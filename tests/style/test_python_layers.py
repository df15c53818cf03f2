# SPDX-License-Identifier: GPL-2.0-only
"""Who may start processes and who may touch the extension module, read off the syntax tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm import process

_PACKAGE = "tools/kvm/python/kvm/"
# Files that may start processes, each with its reason.
_MAY_START_PROCESSES = {
    "process.py": "the one place that does",
    "host/zygote.py": "forks workers from a pre-imported image, which exec would throw away",
    "host/keeper.py": "outlives its caller and imports little: it is on the way of every boot",
    "host/launch.py": "reads ahead in a child before anything is imported",
    "bench/inside/vmms.py": "runs in the lab host, and forks workers as its agent does",
    "host/sessions.py": "the lab host's agent, where importing subprocess costs half a second",
}
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

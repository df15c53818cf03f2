# SPDX-License-Identifier: GPL-2.0-only
"""Build the VMM half once per id: C++ sources + UAPI headers + toolchain → artifact.

An artifact is a folder with only what a VMM process needs: the compiled core and the Python
modules that drive it. It never changes once made, so a lab host may cache it, and a bisection
finds it again by its id.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.errors import BuildError, UserError
from kvm.files import UNFINISHED, keep_newest
from kvm.freshness import HERMETIC, BuildFolder, ccache, listed_changes, listing
from kvm.project import Project
from kvm.say import Say

_KEPT_ARTIFACTS = 64  # a bisection may go back and forth between as many
_COMPILED = (
    "meson.build",
    "meson.options",
    "tools/kvm/meson.build",
    "tools/kvm/precompiled",
    "tools/kvm/src",
    "tools/kvm/python/bindings",
)
# The modules that run beside the core; the rest of the package stays with the harness.
_GUEST = ("guest/__init__.py", "guest/events.py", "guest/protocol.py")
_PYTHON = ("__init__.py", "errors.py", "process.py", "waiting.py", "spec", "vm", *_GUEST)
# Each file that makes the VMM, by its path in the checkout.
_PACKAGE = "tools/kvm/python/kvm"
SOURCES = (*_COMPILED, *(f"{_PACKAGE}/{name}" for name in _PYTHON))
# The environment variables that meson reads.
_FLAGS = ("CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CXX_LD")
_PROGRESS = re.compile(r"\[(\d+)/(\d+)\] (?:Compiling C\+\+ object |Linking target )?(\S+)")


@dataclass(frozen=True, slots=True)
class Vmm:
    """A built VMM: its id and the folder to put first on ``sys.path``."""

    id: str
    folder: Path
    seconds: float
    built: bool


def vmm_id(project: Project, uapi: Path, options: tuple[str, ...] = ()) -> str:
    """hash(sources, UAPI headers, build options, toolchain), 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in _sources(project):
        digest.update(str(path.relative_to(project.root)).encode() + b"\0" + path.read_bytes())
    digest.update((uapi.parent / "source-id").read_bytes())
    digest.update(f"{options} {_toolchain()}".encode())
    return digest.hexdigest()[:16]


def build(project: Project, uapi: Path, say: Say) -> Vmm:
    """The VMM of this checkout, from the cache or compiled now."""
    start = time.monotonic()
    identity = vmm_id(project, uapi)
    artifact = project.cache / "vmm" / identity
    built = False
    if not artifact.exists():
        _compile(project, uapi, say)
        if vmm_id(project, uapi) != identity:
            say("the sources changed during the build; building what they are now")
            return build(project, uapi, say)
        _keep(project, artifact)
        built = True
    os.utime(artifact)
    return Vmm(identity, artifact, time.monotonic() - start, built)


def _sources(project: Project) -> Iterator[Path]:
    for start in (project.root / name for name in SOURCES):
        if start.is_file():
            yield start
        for path in sorted(start.rglob("*")) if start.is_dir() else ():
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def _toolchain() -> str:
    """What the build takes from outside the checkout, as text that differs whenever it does."""
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    version = process.capture((*compiler, "--version")).decode(errors="replace").splitlines()[0]
    flags = {name: os.environ.get(name, "") for name in _FLAGS}
    packages = {name: importlib.metadata.version(name) for name in ("meson", "pybind11")}
    return f"{compiler} {version} {flags} {packages} {sys.implementation.cache_tag}"


def _compile(project: Project, uapi: Path, say: Say) -> None:
    """Configure for this tree's headers when needed, then compile, showing progress."""
    build_dir = project.vmm_build
    options = {"core": "enabled", "uapi_headers": str(uapi)}
    folder = _build_folder(build_dir, say)
    sources = listing((*_sources(project), uapi.parent / "source-id"), project.root)
    folder.follow(sources, listed_changes(sources, project.root))
    say("configuring the VMM")
    _configure(project, build_dir, options)

    def watch(line: str) -> None:
        if matched := _PROGRESS.match(line):
            say(f"{Path(matched.group(3)).name} ({matched.group(1)}/{matched.group(2)})")

    done = process.run(
        (_tool("ninja"), "-C", build_dir),
        on_line=watch,
        check=False,
        timeout_s=1800,
        env={**HERMETIC, **ccache(project.root), "NINJA_STATUS": "[%f/%t] "},
    )
    folder.built()
    if not done.ok:
        raise BuildError(
            "the VMM does not compile",
            _telling(done.output),
            "fix the lines above and run the same command again",
        )


def _build_folder(build_dir: Path, say: Say) -> BuildFolder:
    def restart(reason: str) -> None:
        say(f"building from nothing: {reason}")
        shutil.rmtree(build_dir, ignore_errors=True)

    # meson reads the compiler and its flags at the first set-up only.
    return BuildFolder(build_dir, _toolchain(), restart)


def _configure(project: Project, build_dir: Path, options: dict[str, str]) -> None:
    arguments = tuple(f"-D{name}={value}" for name, value in options.items())
    known = build_dir / "meson-info" / "intro-buildoptions.json"
    if known.exists():
        current = {option["name"]: option["value"] for option in json.loads(known.read_text())}
        if all(current.get(name) == value for name, value in options.items()):
            return
        argv: tuple[str | Path, ...] = (
            _tool("meson"),
            "setup",
            "--reconfigure",
            *arguments,
            build_dir,
            project.root,
        )
    else:
        argv = (_tool("meson"), "setup", "-Dbuildtype=release", *arguments, build_dir, project.root)
    done = process.run(argv, env=HERMETIC, check=False)
    if not done.ok:
        raise BuildError("meson could not configure the VMM", tuple(done.output.splitlines()[-15:]))


def _tool(name: str) -> Path:
    """A build tool of the environment that this process runs in."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise UserError(f"{name} was not found", "run ./invoke, which installs it into .venv")
    return Path(found)


def _telling(output: str) -> tuple[str, ...]:
    lines = [
        line
        for line in output.splitlines()
        if not line.startswith(("[", "FAILED:", "ninja:", "c++ ", "g++ ", "ccache "))
    ]
    first = next((n for n, line in enumerate(lines) if "error" in line), max(0, len(lines) - 30))
    return tuple(lines[max(0, first - 3) : first + 50])


def _keep(project: Project, artifact: Path) -> None:
    """Copy the core and its modules into the cache, completely or not at all."""
    package = project.root / _PACKAGE
    cores = list((project.vmm_build / "tools" / "kvm" / "python").rglob("_core*.so"))
    if len(cores) != 1:
        raise BuildError(f"expected one compiled core in {project.vmm_build}, found {len(cores)}")
    artifact.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=artifact.parent, prefix=UNFINISHED) as scratch:
        new = Path(scratch) / "artifact" / "kvm"
        for name in _PYTHON:
            source, target = package / name, new / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        shutil.copyfile(cores[0], new / cores[0].name)
        # Byte code beside the sources: a lab host can't write it and would compile each time.
        process.run(
            (sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", new)
        )
        os.replace(new.parent, artifact)
    keep_newest(artifact.parent, _KEPT_ARTIFACTS)

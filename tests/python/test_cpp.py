# SPDX-License-Identifier: GPL-2.0-only
"""The C++ unit tests, each by its name, in a plain build and in one with sanitizers."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kvm import process
from kvm.freshness import BuildFolder, ccache, listed_changes, listing
from kvm.kernel import headers
from kvm.lock import locked
from kvm.project import Project
from kvm.vm.build import SOURCES

_TELLING = re.compile(r"(?:fatal )?error:|ERROR:|undefined reference|FAILED:")
# Sanitized tests use much virtual memory and run several times slower.
_SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "halt_on_error=1:abort_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    # All races of a run are reported, and then it fails.
    "TSAN_OPTIONS": "exitcode=66:second_deadlock_stack=1",
}
# gcc's ThreadSanitizer finds no room for its memory if more bits of addresses are random.
_MMAP_BITS = Path("/proc/sys/vm/mmap_rnd_bits")
_TSAN_MMAP_BITS = 28


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build the tests: all of them, or some programs, with options for each."""

    folder: str
    options: tuple[str, ...]
    slower: int = 1
    programs: tuple[str, ...] = ()
    words: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(f"tests/cpp/{name}/{name}-tests" for name in self.programs)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One meson test, according to its log."""

    name: str
    result: str
    output: str

    @property
    def ok(self) -> bool:
        return self.result in ("OK", "EXPECTEDFAIL", "SKIP")


_VARIANTS = (
    # Without precompiled headers, so that each file must include what it uses.
    Variant("cpp-tests", ("-Dbuildtype=debug", "-Db_pch=false")),
    Variant(
        "cpp-asan",
        ("-Dbuildtype=debug", "-Db_sanitize=address,undefined", "-Db_lundef=false"),
        slower=5,
    ),
    # Only tests with threads: the others show nothing. Hostile and malformed drivers write guest
    # memory while the device reads it, as a guest may: that race is the test. Single-threaded
    # fuzzers take minutes.
    Variant(
        "cpp-tsan",
        # Only the rings use fences, which it does not understand; gcc warns about each.
        (
            *("-Dbuildtype=debug", "-Db_sanitize=thread", "-Db_lundef=false"),
            "-Dcpp_args=-Wno-tsan",
        ),
        slower=10,
        programs=("base", "backend", "virtio", "display", "machine"),
        words="-tce=*hostile*,*malformed*,*at*random*",
    ),
)


_SOURCES = ("meson.build", "tools/kvm/src", "tools/kvm/precompiled", "tests/cpp")


def _tool(name: str) -> str:
    """A build tool of the environment that runs the tests."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name


def _must(argv: tuple[str | Path, ...], what: str) -> None:
    """Run a build step; on failure, the lines that show why come last."""
    env = {**ccache(Project.find().root), "LC_ALL": "C"}
    done = process.run(argv, check=False, timeout_s=1500, env=env)
    if not done.ok:
        lines = done.output.splitlines()
        telling = [line for line in lines if _TELLING.search(line)] or lines[-15:]
        words = "\n".join([*lines[-60:], "", f"{what} failed:", *telling[:30]])
        pytest.fail(f"{' '.join(done.argv)}\n{words}", pytrace=False)


def _configure(project: Project, variant: Variant, folder: Path) -> None:
    uapi = headers.installed(project)
    argv = (
        *(_tool("meson"), "setup", "-Dcore=auto", "-Dunit_tests=true", "-Db_colorout=never"),
        *variant.options,
        f"-Duapi_headers={uapi if uapi is not None else ''}",
    )
    # Tests of old code would pass for the current one, because ninja uses time stamps.
    sources = listing(_sources(project), project.root)
    made = BuildFolder(folder, " ".join(argv), lambda reason: shutil.rmtree(folder))
    made.follow(sources, listed_changes(sources, project.root))
    if not (folder / "build.ninja").exists():  # ninja itself sees changes in meson's files
        _must((*argv, folder, project.root), "configuring")


def _sources(project: Project) -> Iterator[Path]:
    for root in (project.root / name for name in _SOURCES):
        yield from (path for path in sorted([root, *root.rglob("*")]) if path.is_file())


def _run(folder: Path, variant: Variant) -> tuple[Outcome, ...]:
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    argv: tuple[str | Path, ...] = (
        *(_tool("meson"), "test", "-C", folder, "--no-rebuild", "-t", str(3 * variant.slower)),
        f"--test-args={variant.words}",
        *variant.programs,
    )
    if "-Db_sanitize=thread" in variant.options and _random_bits() > _TSAN_MMAP_BITS:
        argv = ("setarch", "-R", *argv)
    done = process.run(argv, check=False, timeout_s=900, env=_SANITIZER_OPTIONS)
    if not log.exists():
        pytest.fail(f"meson test ended without a log\n{done.output}", pytrace=False)
    return tuple(map(parse_outcome, log.read_text().splitlines()))


def _read_by_the_compiler(project: Project, folder: Path) -> tuple[str, ...]:
    """The files of this checkout, by their paths in it, that ninja knows to have been read."""
    said = process.capture((_tool("ninja"), "-C", folder, "-t", "deps")).decode()
    names = {line.strip() for line in said.splitlines() if line.startswith("    ")}
    paths = (Path(os.path.normpath(folder / name)) for name in names)
    inside = (path for path in paths if path.is_relative_to(project.root))
    return tuple(sorted(path.relative_to(project.root).as_posix() for path in inside))


def _random_bits() -> int:
    try:
        return int(_MMAP_BITS.read_text())
    except (OSError, ValueError):
        return 0  # it is hidden from us; then nothing can be done


def parse_outcome(line: str) -> Outcome:
    """One line of meson's testlog.json."""
    told = json.loads(line)
    output = "\n".join(told[stream] for stream in ("stdout", "stderr") if told.get(stream))
    return Outcome(told["name"], told["result"], output)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("variant", _VARIANTS, ids=lambda variant: variant.folder)
def test_cpp(variant: Variant, subtests: pytest.Subtests) -> None:
    project = Project.find()
    folder = project.build / variant.folder
    with locked(project.build / f"{variant.folder}.lock", f"the {variant.folder} build"):
        _configure(project, variant, folder)
        jobs = str(len(os.sched_getaffinity(0)))
        ninja: tuple[str | Path, ...] = (_tool("ninja"), "-C", folder, "-j", jobs, *variant.targets)
        _must(ninja, "compiling the C++ tests")
        outcomes = _run(folder, variant)
        read = _read_by_the_compiler(project, folder)
    assert outcomes, "tests/cpp defines no test"
    own = [name for name in read if not name.startswith(("build/", ".venv/", "tests/"))]
    assert own
    # What is not in the VMM's id is not compiled again when it is edited.
    assert [name for name in own if not name.startswith(SOURCES)] == []
    for outcome in outcomes:
        with subtests.test(outcome.name):
            again = f"meson test -C {folder} '{outcome.name.rpartition(' / ')[2]}' --verbose"
            assert outcome.ok, f"{outcome.result}\n{outcome.output}\nrun it again: {again}"


def test_outcome_is_read_from_the_log_line() -> None:
    line = '{"name": "tools-kvm:queue", "result": "FAIL", "stdout": "out", "stderr": "err"}'
    outcome = parse_outcome(line)
    assert (outcome.name, outcome.ok, outcome.output) == ("tools-kvm:queue", False, "out\nerr")

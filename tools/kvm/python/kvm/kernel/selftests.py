# SPDX-License-Identifier: GPL-2.0-only
"""Builds the tree's own selftests outside the tree, and keeps them by id.

``build_kvm_selftests`` makes KVM's, to run in a lab host (which has this machine's libraries);
``build_kselftests`` makes chosen static programs, to run in a guest. The matrix' workloads call
both. With ccache a second build takes seconds.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.errors import BuildError
from kvm.files import UNFINISHED, keep_newest
from kvm.kernel import identity
from kvm.kernel.paths import refuse_odd
from kvm.kernel.toolchain import Toolchain
from kvm.kernel.tree import Tree
from kvm.lock import locked
from kvm.project import Project
from kvm.say import Say

PROGRAMS = "programs"  # in the folder of KVM's: the names of the programs, one a line

_KEPT = 8
_SELFTESTS = "tools/testing/selftests"
# The sources of any selftest, apart from its own folder.
_COMMON = (
    f"{_SELFTESTS}/lib.mk",
    f":(glob){_SELFTESTS}/*.h",
    f"{_SELFTESTS}/rseq",
    "tools/include",
    "tools/arch/x86/include",
    "tools/build/Build.include",
    "scripts/subarch.include",
)
_STATIC = "-static -s"
_OUTPUT = re.compile(r" -o (\S+)")
_BROKEN = re.compile(r"\*\*\* \[.*?([^\s:\]]+)\] Error|No rule to make target '([^']+)'")
_COMPILER_ERROR = re.compile(r"error:|undefined reference|No rule to make target|cannot find")


def build_kvm_selftests(project: Project, tree: Tree, uapi: Path, say: Say) -> Path:
    """The folder with the tree's KVM selftests that its Makefile lists for x86.

    ``uapi`` is the include folder of ``kernel_build.uapi``. Raises ``BuildError`` naming
    each selftest that does not compile.
    """

    def make(new: Path) -> None:
        suite = _Suite(project, tree, uapi, "kvm", new)
        listed = suite.make(("--eval", _LIST_RULE, "list-programs"))
        names = tuple(
            line.removeprefix(f"{new}/")
            for line in listed.splitlines()
            if line.startswith(f"{new}/")
        )
        suite.compile(names, say)
        (new / PROGRAMS).write_text("".join(f"{name}\n" for name in names))

    return _kept(project, tree, uapi, {"kvm": ()}, "", make, say)


def build_kselftests(
    project: Project, tree: Tree, uapi: Path, programs: Mapping[str, Sequence[str]], say: Say
) -> Path:
    """The folder with ``programs`` (suite → names) at ``SUITE/NAME``, static and stripped."""

    def make(new: Path) -> None:
        for name, names in programs.items():
            (new / name).mkdir(parents=True)
            _Suite(project, tree, uapi, name, new / name, _STATIC).compile(names, say)

    return _kept(project, tree, uapi, programs, _STATIC, make, say)


# Written on one line of make; $(OUTPUT) precedes each name.
_LIST_RULE = 'list-programs: ; @printf "%s\\n" $(TEST_GEN_PROGS)'


def _kept(
    project: Project,
    tree: Tree,
    uapi: Path,
    programs: Mapping[str, Sequence[str]],
    flags: str,
    make: Callable[[Path], None],
    say: Say,
) -> Path:
    """The artifact of these programs, from the cache or built now in a folder of its own."""
    toolchain = Toolchain.from_environment()
    digest = hashlib.sha256(_sources(tree, tuple(programs)))
    digest.update((uapi.parent / "source-id").read_bytes())
    chosen = {suite: tuple(names) for suite, names in programs.items()}
    digest.update(f"{chosen} {flags} {toolchain.identity()}".encode())
    refuse_odd(project.cache, "the cache", "name another folder by XDG_CACHE_HOME")
    artifact = project.cache / "selftests" / digest.hexdigest()[:16]
    with locked(project.cache / "selftests" / "lock", "compiling selftests", say=say):
        if not artifact.exists():
            with tempfile.TemporaryDirectory(dir=artifact.parent, prefix=UNFINISHED) as scratch:
                new = Path(scratch) / "artifact"
                new.mkdir()
                make(new)
                for path in (*new.rglob("*.o"), *new.rglob("*.d")):
                    path.unlink()
                os.replace(new, artifact)
            keep_newest(artifact.parent, _KEPT)
    os.utime(artifact)
    return artifact


def _sources(tree: Tree, suites: tuple[str, ...]) -> bytes:
    """Names and ids of all source files of the suites, edits included."""
    paths = (*_COMMON, *(f"{_SELFTESTS}/{suite}" for suite in suites))
    with tree.repository.scratch_index() as env:
        identity.add_all(tree, env)
        return tree.repository.output("ls-files", "-s", "--", *paths, env=env)


@dataclass(frozen=True, slots=True)
class _Suite:
    """A folder of selftests; make writes only to ``out``."""

    project: Project
    tree: Tree
    uapi: Path
    name: str
    out: Path
    extra: str = ""  # arguments for the compiler

    def make(
        self,
        words: Sequence[str | Path],
        on_line: Callable[[str], None] | None = None,
        *,
        check: bool = True,
    ) -> str:
        """Run make in the suite's folder; return its output."""
        toolchain = Toolchain.from_environment()
        compiler = f"{toolchain.ccache} {toolchain.compiler} {self.extra}".strip()
        done = process.run(
            (
                *("make", "--no-print-directory", "-k", f"-j{os.cpu_count() or 1}"),
                *("-C", self.tree.path / _SELFTESTS / self.name),
                *("ARCH=x86", f"OUTPUT={self.out}", f"CC={compiler}"),
                f"KHDR_INCLUDES=-isystem {self.uapi}",
                *words,
            ),
            env=toolchain.environment(self.project.cache / "ccache", self.project.root),
            on_line=on_line,
            check=check,
            timeout_s=3600,
        )
        return done.output

    def compile(self, names: Sequence[str], say: Say) -> None:
        """Compile ``names``. Raises ``BuildError`` naming the programs that do not compile."""
        steps = 0

        def watch(line: str) -> None:
            nonlocal steps
            if matched := _OUTPUT.search(line):
                steps += 1
                say(f"{self.name}: {Path(matched.group(1)).name} ({steps})")

        output = self.make(tuple(self.out / name for name in names), watch, check=False)
        missing = tuple(name for name in names if not (self.out / name).is_file())
        if missing or not names:
            raise _failure(self.name, self.out, missing, output)


def _failure(suite: str, out: Path, missing: tuple[str, ...], output: str) -> BuildError:
    """An error that names what is missing, and the target that make failed at if it is another."""
    lines = output.splitlines()
    broken = [next(filter(None, m.groups())) for line in lines if (m := _BROKEN.search(line))]
    made = {path.removeprefix(f"{out}/").removesuffix(".o") for path in broken}
    what = sorted(made & set(missing)) or sorted(made) or list(missing) or ["its list of programs"]
    errors = [line for line in lines if _COMPILER_ERROR.search(line)]
    return BuildError(
        f"{len(missing)} selftest(s) of {suite} do not compile: {', '.join(what)}",
        tuple(errors[:40] or lines[-20:]),
        "fix the lines above and run the same command again",
    )

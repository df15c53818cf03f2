# SPDX-License-Identifier: GPL-2.0-only
"""Build a kernel image once per id and keep it: source + config + toolchain → artifact."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvm import process
from kvm.errors import BuildError, UserError
from kvm.files import UNFINISHED, keep_newest
from kvm.freshness import BuildFolder
from kvm.kernel import config as kconfig
from kvm.kernel import headers, identity, modules, quick
from kvm.kernel.config import ConfigSpec
from kvm.kernel.identity import SourceId
from kvm.kernel.paths import refuse_odd
from kvm.kernel.toolchain import Toolchain
from kvm.kernel.tree import Tree
from kvm.project import Project
from kvm.say import Say

_KEPT_ARTIFACTS = 64  # a bisection may go back and forth between as many
_STEP = re.compile(r"^\s+(CC|AS|LD|AR|LDS|OBJCOPY|NM|BTF|KSYMS|HOSTCC|GEN|SORTTAB|UPD)\s+(\S+)")
_COMPILER_ERROR = re.compile(
    r"(error:|undefined reference|No rule to make target|multiple definition)"
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """A built kernel: its id, its release, and the folder that holds the image.

    The folder has ``vmlinux`` (without debug sections), ``System.map``, ``config`` and
    ``modules``. ``image`` names the content of ``vmlinux``, which kernels may share that differ in
    their modules.
    """

    id: str
    image: str
    release: str
    source: str
    config_name: str
    folder: Path
    seconds: float
    built: bool

    @property
    def vmlinux(self) -> Path:
        return self.folder / "vmlinux"

    @property
    def modules(self) -> tuple[Path, ...]:
        """Its modules, each after those that it needs."""
        return modules.kept(self.folder)

    @property
    def system_map(self) -> Path:
        return self.folder / "System.map"

    @property
    def has_debug_port(self) -> bool:
        """Whether it supports ``earlyprintk=debugport`` (a patch of linux/patches)."""
        return b"debugport" in self.vmlinux.read_bytes()

    @property
    def label(self) -> str:
        """The name in reports, such as ``6.12.117+g1a2b3c4d5e6f``."""
        return f"{self.release}+g{self.source[:12]}"


def output_folder(project: Project, config_name: str) -> Path:
    """``O=``/``KBUILD_OUTPUT`` if given, else ``build/kernel/CONFIG``."""
    chosen = os.environ.get("O") or os.environ.get("KBUILD_OUTPUT")
    folder = Path(chosen).resolve() if chosen else project.build / "kernel" / config_name
    return refuse_odd(folder, "the kernel's build folder", "name it otherwise (O, --config)")


def build(
    project: Project,
    tree: Tree,
    spec: ConfigSpec,
    say: Say,
    *,
    source: SourceId | None = None,
    bzimage: bool = False,
    full: bool = False,
) -> Kernel:
    """The image of this tree and config, from the cache or built now.

    ``full`` lets make look at everything, whatever changed (``quick.py``).
    """
    start = time.monotonic()
    source = source or identity.source_id(tree)
    toolchain = Toolchain.from_environment()
    out = output_folder(project, spec.name)
    ours = out.parent == project.build / "kernel"
    folder = _build_folder(tree, toolchain, out, say, ours=ours)
    folder.follow(source.tree, lambda before: identity.changed_files(tree, before, source.tree))
    text = kconfig.resolve(tree, spec, source, toolchain, out, say)
    kernel_id = identity.kernel_id(source.tree, text, toolchain.identity())
    artifact = project.cache / "kernels" / kernel_id
    wanted = "arch/x86/boot/bzImage" if bzimage else "vmlinux"
    built = False
    if full or not ((artifact / Path(wanted).name).exists() and _has_meta(artifact)):
        try:
            make = _Make(project, tree, toolchain, out, say)
            whole = make.whole(source, wanted, full=full)
        finally:
            folder.built()
        if identity.source_id(tree).tree != source.tree:
            say("the tree changed during the build; building what it is now")
            return build(project, tree, spec, say, bzimage=bzimage, full=full)
        quick.WholeBuild(out).done(whole)
        _keep(out, wanted, artifact, whole, kernel_id)
        built = True
    os.utime(artifact)
    seconds = time.monotonic() - start
    return replace(stored(artifact, spec.name), seconds=seconds, built=built)


def stored(folder: Path, config_name: str) -> Kernel:
    """The kernel in a folder of the cache. Raises ``OSError`` or ``ValueError`` if there is none.

    Revisions before there were modules kept no name of the image.
    """
    meta = json.loads((folder / "meta.json").read_text())
    release, source = str(meta["release"]), str(meta["source"])
    image = str(meta.get("image", meta["id"]))
    return Kernel(str(meta["id"]), image, release, source, config_name, folder, 0.0, False)


def _has_meta(artifact: Path) -> bool:
    """Whether it was kept with all that is kept today."""
    try:
        return "image" in json.loads((artifact / "meta.json").read_text())
    except (OSError, ValueError):
        return False


def _build_folder(
    tree: Tree, toolchain: Toolchain, out: Path, say: Say, *, ours: bool
) -> BuildFolder:
    def restart(reason: str) -> None:
        say(f"building from nothing: {reason}")
        if ours:
            shutil.rmtree(out)
            return
        # The folder is the user's (O=), with other files beside kbuild's.
        process.run(
            ("make", "-s", "-C", tree.path, f"O={out}", *toolchain.arguments(), "mrproper"),
            env=toolchain.sealed(),
            timeout_s=600,
        )
        # Older kernels' mrproper leaves the sources of tools (objtool) there.
        if out != tree.path:
            shutil.rmtree(out / "tools", ignore_errors=True)

    return BuildFolder(out, toolchain.identity(), restart)


@dataclass(frozen=True, slots=True)
class _Make:
    """make, for one tree and one build folder."""

    project: Project
    tree: Tree
    toolchain: Toolchain
    out: Path
    say: Say

    def whole(self, source: SourceId, target: str, *, full: bool) -> quick.Whole:
        """Make the image and its modules, or these alone if only KVM's sources changed.

        What is returned holds if the tree did not change meanwhile.
        """
        config = (self.out / ".config").read_text()
        folder = quick.WholeBuild(self.out)
        known = None if full or not (self.out / target).exists() else folder.read()
        if known is not None:
            changed = identity.changed_files(self.tree, known.source, source.tree)
            if folder.suffices(known, config, changed, self.tree.path):
                # All modules, because each is checked against the symbols of those named with it.
                self.goals(known.modules)
                return replace(known, source=source.tree)
        folder.begin()
        has_modules = "\nCONFIG_MODULES=y\n" in config
        self.goals((Path(target).name, *(("modules",) if has_modules else ())))
        return quick.Whole(source.tree, config, modules.listed(self.out) if has_modules else ())

    def goals(self, names: tuple[str, ...]) -> None:
        """Run make, showing each step; on failure raise with the compiler's output."""
        out = self.out
        free = shutil.disk_usage(out).free >> 20
        if free < 1500:
            raise UserError(f"{out} has {free} MiB free, a kernel build needs 1500", "make room")
        history = out / ".tools-kvm.steps"
        steps = _Steps(int(history.read_text()) if history.exists() else 0, self.say)
        done = process.run(
            (
                *("make", "-C", self.tree.path, f"O={out}", f"-j{os.cpu_count() or 1}"),
                *self.toolchain.arguments(),
                *names,
            ),
            env=self.toolchain.environment(self.project.cache / "ccache", self.project.root),
            on_line=steps.hear,
            check=False,
            timeout_s=4 * 3600,
        )
        (out / "build.log").write_text(done.output)
        if not done.ok:
            raise BuildError(
                f"the kernel does not build ({out / 'build.log'} has all of make's output)",
                _telling(steps.words),
                "fix the lines above and run the same command again",
            )
        if steps.seen > steps.expected:
            history.write_text(str(steps.seen))


@dataclass(slots=True)
class _Steps:
    """make's steps, told as they come; ``words`` are the lines that are none."""

    expected: int
    say: Say
    seen: int = 0
    words: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        if matched := _STEP.match(line):
            self.seen += 1
            of = f"/{self.expected}" if self.seen <= self.expected else ""
            self.say(f"{matched.group(1)} {matched.group(2)} ({self.seen}{of})")
        else:
            self.words.append(line)


def _telling(words: list[str]) -> tuple[str, ...]:
    """The compiler's errors with the source lines under them, without make's own noise."""
    kept: list[str] = []
    follow = 0
    for line in words:
        if _COMPILER_ERROR.search(line):
            follow = 4
        elif line.startswith("make") or "Error 2" in line:
            follow = 0
        if follow > 0:
            kept.append(line)
            follow -= 1
    return tuple(kept[:60] or [w for w in words if w.strip()][-20:])


def _keep(out: Path, target: str, artifact: Path, whole: quick.Whole, kernel_id: str) -> None:
    """Copy the image into the cache, completely or not at all."""
    artifact.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=artifact.parent, prefix=UNFINISHED) as scratch:
        new = Path(scratch) / "artifact"
        new.mkdir()
        if artifact.exists():
            shutil.copytree(artifact, new, dirs_exist_ok=True)
        # Relocations and symbols are for debuggers; both boot paths read every byte of the file.
        process.run(("objcopy", "--strip-all", out / "vmlinux", new / "vmlinux"))
        if target != "vmlinux":
            shutil.copyfile(out / target, new / Path(target).name)
        shutil.copyfile(out / "System.map", new / "System.map")
        shutil.copyfile(out / ".config", new / "config")
        modules.keep([out / name for name in whole.modules], new)
        release = (out / "include/config/kernel.release").read_text().strip()
        image = hashlib.sha256((new / "vmlinux").read_bytes()).hexdigest()[:16]
        meta = {"release": release, "source": whole.source, "id": kernel_id, "image": image}
        (new / "meta.json").write_text(json.dumps(meta))
        shutil.rmtree(artifact, ignore_errors=True)
        os.replace(new, artifact)
    keep_newest(artifact.parent, _KEPT_ARTIFACTS)


def uapi(project: Project, tree: Tree, source: SourceId, say: Say) -> Path:
    """The include folder of this tree's UAPI headers, installed again if out of date."""
    return headers.install(project, tree, source, Toolchain.from_environment(), say)

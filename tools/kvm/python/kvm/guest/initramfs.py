# SPDX-License-Identifier: GPL-2.0-only
"""Makes the initramfs of a guest (init, busybox, extra files) or a lab host (only init).

Archives are cached by content. They are not compressed: loading 3 MiB costs less than inflating
them in a guest.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import struct
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.errors import UserError
from kvm.files import UNFINISHED, keep_newest
from kvm.guest import cpio
from kvm.guest.build import build_init
from kvm.project import Project

BUSYBOX_PATHS = (Path("/bin/busybox"), Path("/usr/bin/busybox"))

_KEPT = 60  # of 3 to 30 MB each
_GUEST_FOLDERS = ("bin", "dev", "etc", "lib", "mnt", "proc", "root", "run", "sys", "usr", "var")
_LAB_FOLDERS = ("dev", "etc", "lower", "newroot", "overlay", "proc", "run", "sys", "tmp")
# One folder of programs under all its usual names.
_MERGED = {"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin"}
_ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost guest\n::1 localhost\n",
}


@dataclass(frozen=True, slots=True)
class ExtraFile:
    """A file of the developer to put at ``target`` (absolute) in a guest."""

    source: Path
    target: str
    mode: int = 0o755


def build_initramfs(
    project: Project,
    *,
    files: Sequence[ExtraFile] = (),
    agent_argv: tuple[str, ...] | None = None,
) -> Path:
    """The archive for a guest or, if ``agent_argv`` is given, for a lab host that runs it.

    Raises ``UserError`` if busybox or an extra file is missing or unsuitable.
    """
    init = cpio.file("init", build_init(project).read_bytes(), 0o755)
    entries = (
        _guest_entries(init, files) if agent_argv is None else _lab_entries(init, files, agent_argv)
    )
    return _store(project.cache / "initramfs", cpio.archive(entries))


def _guest_entries(init: cpio.Entry, files: Sequence[ExtraFile]) -> list[cpio.Entry]:
    busybox = find_busybox()
    entries = _base(_GUEST_FOLDERS, init)
    entries += (cpio.folder("tmp", 0o1777), cpio.folder("var/tmp", 0o1777))
    entries += (cpio.symlink(path, target) for path, target in _MERGED.items())
    entries += (cpio.file(path, text.encode()) for path, text in _ETC.items())
    entries.append(cpio.file("bin/busybox", busybox.read_bytes(), 0o755))
    entries += (cpio.symlink(f"bin/{applet}", "busybox") for applet in applets(busybox))
    return _with_files(entries, files)


def _lab_entries(
    init: cpio.Entry, files: Sequence[ExtraFile], agent_argv: tuple[str, ...]
) -> list[cpio.Entry]:
    if not agent_argv or any("\0" in word for word in agent_argv):
        raise UserError(f"a lab host can't run the agent {agent_argv!r}", "name a program")
    words = b"".join(os.fsencode(word) + b"\0" for word in agent_argv)
    entries = [*_base(_LAB_FOLDERS, init), cpio.file("agent.argv", words)]
    return _with_files(entries, files, aliases=())


def _base(folders: Iterable[str], init: cpio.Entry) -> list[cpio.Entry]:
    """The first entries. The kernel opens /dev/console before init can mount anything."""
    return [
        *(cpio.folder(path) for path in folders),
        cpio.character_device("dev/console", 5, 1),
        cpio.character_device("dev/null", 1, 3, 0o666),
        init,
    ]


def _with_files(
    entries: list[cpio.Entry], files: Sequence[ExtraFile], aliases: Iterable[str] = _MERGED
) -> list[cpio.Entry]:
    """Add the extra files with their folders; a file may replace an applet, not a folder."""
    members = {entry.path: entry for entry in entries}
    for extra in files:
        path = _archive_path(extra.target, aliases)
        for parent in reversed([str(p) for p in Path(path).parents][:-1]):
            members.setdefault(parent, cpio.folder(parent))
        if path == "init" or path in (*_GUEST_FOLDERS, *_LAB_FOLDERS, *_MERGED, "tmp"):
            raise UserError(f"{extra.target} belongs to the guest's init", "choose another target")
        members.pop(path, None)
        members[path] = cpio.file(path, _content(extra.source), extra.mode & 0o7777)
    return list(members.values())


def _archive_path(target: str, aliases: Iterable[str]) -> str:
    """The canonical path in the archive; otherwise the kernel would replace a link by a folder."""
    path = posixpath.normpath(target)
    if not path.startswith("/") or path.strip("/") == "":
        raise UserError(f"{target!r} is not an absolute path of a file in the guest")
    path = path.lstrip("/")
    for alias in aliases:
        if path.startswith(f"{alias}/"):
            return f"bin/{path.removeprefix(f'{alias}/')}"
    return path


def _content(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except IsADirectoryError:
        raise UserError(f"{source} is a folder", "name the files in it one by one") from None
    except OSError as error:
        raise UserError(f"{source} can't be read: {error.strerror}", "check the path") from error


def find_busybox(candidates: Sequence[Path] = BUSYBOX_PATHS) -> Path:
    """A busybox that runs without shared libraries."""
    hint = "install a static busybox (Debian, Ubuntu: apt-get install busybox-static)"
    found = [path for path in candidates if path.is_file()]
    for path in found:
        if is_static(path):
            return path
    if found:
        raise UserError(f"{found[0]} needs shared libraries, which a guest has not", hint)
    raise UserError("busybox was not found in /bin or /usr/bin", hint)


def applets(busybox: Path) -> list[str]:
    names = process.capture((busybox, "--list"), timeout_s=30).decode().split()
    return sorted(set(names) - {"busybox", "init"})


def is_static(program: Path) -> bool:
    """Whether it is a 64-bit ELF program without a dynamic loader (PT_INTERP)."""
    pt_interp = 3
    with program.open("rb") as stream:
        header = stream.read(64)
        if len(header) < 64 or header[:5] != b"\x7fELF\x02":
            return False
        table, size, count = (
            struct.unpack_from("<Q", header, 32)[0],
            *struct.unpack_from("<HH", header, 54),
        )
        stream.seek(table)
        headers = stream.read(size * count)
    if size < 56 or len(headers) < size * count:
        return False
    kinds = (struct.unpack_from("<I", headers, at)[0] for at in range(0, size * count, size))
    return pt_interp not in kinds


def _store(folder: Path, data: bytes) -> Path:
    target = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.cpio"
    if target.is_file():
        os.utime(target)
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=UNFINISHED) as scratch:
        draft = Path(scratch) / target.name
        draft.write_bytes(data)
        draft.replace(target)
    keep_newest(folder, _KEPT)
    return target

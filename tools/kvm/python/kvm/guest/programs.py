# SPDX-License-Identifier: GPL-2.0-only
"""A program of the developer's machine, with all that it loads, as files for a guest.

The loader itself reports what a program needs; a static program or a script needs nothing (a
script's interpreter is the guest's). Used by workloads with a program of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

from kvm import process
from kvm.errors import UserError
from kvm.guest.initramfs import ExtraFile, is_static

# "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)" or "/lib64/ld-linux... (0x...)".
_NEEDED = re.compile(r"\s*(?:(?P<name>\S+) => )?(?P<path>/\S+) \(0x[0-9a-f]+\)")
_MISSING = re.compile(r"\s*(\S+) => not found")


def with_libraries(program: Path, *, of: Path | None = None) -> tuple[ExtraFile, ...]:
    """The program at its own path, followed by its loader and libraries at theirs.

    Instead of a program, it may be a library that the program ``of`` loads.
    """
    own = ExtraFile(program, str(program))
    if not _is_dynamic(of or program):
        return (own,)
    loader = _interpreter(of or program)
    done = process.run(
        (loader, "--list", program), timeout_s=30, check=False, env={"LD_LIBRARY_PATH": ""}
    )
    if missing := _MISSING.findall(done.output):
        raise UserError(f"{program} needs {missing[0]}, which is not here", "install it")
    paths = [Path(found["path"]) for found in map(_NEEDED.match, done.output.splitlines()) if found]
    if not done.ok or not (paths or of):
        raise UserError(f"{loader} can't list what {program} needs", "link it statically")
    # A library is found under its requested name, which may be a link.
    targets = {str(loader): loader, **{str(path): path for path in paths}}
    return (own, *(ExtraFile(path.resolve(), target) for target, path in targets.items()))


def _is_dynamic(program: Path) -> bool:
    try:
        with program.open("rb") as stream:
            return stream.read(4) == b"\x7fELF" and not is_static(program)
    except OSError as error:
        raise UserError(f"{program}: {error.strerror}", "check the path") from error


def _interpreter(program: Path) -> Path:
    """The path in its PT_INTERP segment; it begins with a slash and ends with a NUL."""
    found = re.search(rb"\0(/[\w./+-]*ld[\w./+-]*\.so[\w.]*)\0", program.read_bytes()[:65536])
    if found is None:
        raise UserError(f"{program} names no dynamic loader", "link it statically")
    return Path(found[1].decode())

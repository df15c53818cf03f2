# SPDX-License-Identifier: GPL-2.0-only
"""A disk: ``--disk PATH[,ro|rw|volatile|transient][,raw|qcow2][,direct][,backing=PATH]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.spec import words
from kvm.spec.files import require_file
from kvm.spec.json_form import required

FORMATS = ("raw", "qcow2")
_MODES = ("ro", "rw", "volatile", "transient")
_BACKING = "backing="


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """An image file that the guest sees as a virtio disk.

    ``volatile``: its write cache is lost with the VMM, however that ends, and so is whatever the
    guest did not flush. ``transient``: all that the guest writes is lost then, and the image is
    only read. ``direct``: bypass the host's page cache. ``backing_folder`` is where relative names
    of a qcow2 image's backing file start, if not in its own folder. A backing file must be below
    that folder, or be one of ``backing`` or below it; ``backing_files`` are the host's paths of
    them, the uppermost first, if they differ. Unless the user gave the format (``format_said``), a
    raw disk must not look like an image of another format.
    """

    path: Path
    read_only: bool = required(False)
    volatile: bool = False
    transient: bool = False
    format: str = "raw"
    direct: bool = False
    backing_folder: Path | None = None
    format_said: bool = False
    backing: tuple[Path, ...] = ()
    backing_files: tuple[Path, ...] = ()

    @classmethod
    def parse(cls, text: str) -> DiskSpec:
        """Parse ``PATH`` and, each after a comma, a mode, a format and ``direct``, each at most
        once, and any number of ``backing=PATH``.

        An image is qcow2 if its name says so; its content may be a guest's.
        """
        path, *rest = words.split(text)
        hint = (
            f"write PATH, then [,{'|'.join(_MODES)}][,{'|'.join(FORMATS)}][,direct]"
            "[,backing=PATH]; a comma in a path is \\,"
        )
        modes = [word for word in rest if word in _MODES]
        formats = [word for word in rest if word in FORMATS]
        direct = rest.count("direct")
        backing = [word.removeprefix(_BACKING) for word in rest if word.startswith(_BACKING)]
        for word in rest:
            if word not in (*_MODES, *FORMATS, "direct") and not word.startswith(_BACKING):
                raise UserError(f"--disk {text}: unknown mode {word!r}", hint)
        if "" in backing:
            raise UserError(f"--disk {text}: backing= names nothing", hint)
        if len(modes) > 1 or len(formats) > 1 or direct > 1:
            clash = next(kind for kind in (modes, formats, ["direct"] * direct) if len(kind) > 1)
            raise UserError(
                f"--disk {text}: modes can't be combined, as in {','.join(clash)!r}", hint
            )
        return cls(
            path=Path(path).absolute(),
            read_only=modes == ["ro"],
            volatile=modes == ["volatile"],
            transient=modes == ["transient"],
            format=formats[0] if formats else _format_by_name(path),
            direct=bool(direct),
            format_said=bool(formats),
            backing=tuple(Path(place).absolute() for place in backing),
        )

    def words(self) -> str:
        """The text that ``parse`` reads as this disk."""
        mode = next(iter(self._modes()), "")
        said = self.format_said or self.format != _format_by_name(str(self.path))
        given = [mode, self.format if said else "", "direct" if self.direct else ""]
        places = [f"{_BACKING}{place}" for place in self.backing]
        return words.join([str(self.path), *filter(None, given), *places])

    @property
    def written(self) -> bool:
        """Whether the image itself is written."""
        return not (self.read_only or self.transient)

    def _modes(self) -> list[str]:
        own = {"ro": self.read_only, "volatile": self.volatile, "transient": self.transient}
        return [mode for mode, chosen in own.items() if chosen]

    def check(self) -> None:
        """Raise ``UserError`` for an impossible disk."""
        require_file(self.path, "disk", "create it with `truncate -s 1G FILE`", block_devices=True)
        if len(modes := self._modes()) > 1:
            raise UserError(f"disk {self.path} is both {' and '.join(modes)}", "use one of these")
        if self.format not in FORMATS:
            raise UserError(
                f"disk {self.path} has the format {self.format!r}",
                f"use {' or '.join(FORMATS)}",
            )
        if self.direct and self.format != "raw":
            raise UserError(f"disk {self.path}: direct is for raw images", "leave it out")
        if self.backing and self.format != "qcow2":
            raise UserError(
                f"disk {self.path}: backing is for qcow2 images", "leave it out, or write ,qcow2"
            )
        for place in self.backing:
            if not place.exists():
                raise UserError(
                    f"disk {self.path}: its backing {place} does not exist",
                    "name the backing file, or a folder that it is in",
                )


def check_all(disks: tuple[DiskSpec, ...]) -> None:
    """Check each, and that an image given twice has only readers.

    A lab host's 9p does not pass on the VMM's own claim on an image (``flock``).
    """
    for number, later in enumerate(disks):
        later.check()
        for earlier in disks[:number]:
            if earlier.path.samefile(later.path) and (earlier.written or later.written):
                raise UserError(
                    f"--disk {later.path} is the same file as --disk {earlier.path}",
                    "give each disk a file of its own, or attach this one with ,ro or ,transient "
                    "both times",
                )


def _format_by_name(path: str) -> str:
    return "qcow2" if path.endswith(".qcow2") else "raw"

# SPDX-License-Identifier: GPL-2.0-only
"""A shared folder: ``--share PATH[,ro][,tag=NAME]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.spec import words
from kvm.spec.json_form import required

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}")


@dataclass(frozen=True, slots=True)
class ShareSpec:
    """A folder that the guest can mount by ``tag`` (9p); our init mounts it at /mnt/TAG."""

    path: Path
    tag: str
    read_only: bool = required(False)

    @classmethod
    def parse(cls, text: str) -> ShareSpec:
        """Parse ``PATH``, ``PATH,ro``, ``PATH,tag=NAME`` or both; the default tag is the folder's
        name."""
        path, *rest = words.split(text)
        folder = Path(path).absolute()
        tag, read_only = folder.name, False
        for word in rest:
            if word in ("ro", "rw"):
                read_only = word == "ro"
            elif word.startswith("tag="):
                tag = word.removeprefix("tag=")
            else:
                raise UserError(
                    f"--share {text}: unknown word {word!r}", "write PATH[,ro][,tag=NAME]"
                )
        return cls(folder, tag, read_only)

    def words(self) -> str:
        """The text that ``parse`` reads as this share."""
        mode = ["ro"] if self.read_only else []
        tag = [] if self.tag == self.path.name else [f"tag={self.tag}"]
        return words.join([str(self.path), *mode, *tag])

    def check(self) -> None:
        """Raise ``UserError`` for an impossible share."""
        if not _TAG.fullmatch(self.tag):
            raise UserError(
                f"share {self.path} has the tag {self.tag!r}",
                "use up to 31 letters, digits, '.', '_' or '-', the first a letter or digit",
            )
        if not self.path.is_dir():
            raise UserError(f"share {self.path} is not a folder", "name an existing folder")


def check_all(shares: tuple[ShareSpec, ...]) -> None:
    """Check each, and that no two have the same tag."""
    for share in shares:
        share.check()
    if len({share.tag for share in shares}) < len(shares):
        raise UserError("two shares have the same tag", "give each a tag of its own: tag=NAME")

# SPDX-License-Identifier: GPL-2.0-only
"""Checks of files that a machine uses."""

from __future__ import annotations

from pathlib import Path

from kvm.errors import UserError


def require_file(path: Path, role: str, hint: str, *, block_devices: bool = False) -> None:
    """Raise ``UserError`` if it is no file; opening something else may block forever."""
    if not path.exists():
        raise UserError(f"{role} {path} does not exist", hint)
    if path.is_dir():
        raise UserError(f"{role} {path} is a directory", hint)
    if not path.is_file() and not (block_devices and path.is_block_device()):
        raise UserError(f"{role} {path} is not a regular file", hint)

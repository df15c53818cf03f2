# SPDX-License-Identifier: GPL-2.0-only
"""The folder a run leaves behind: console, host console, spec, result, and how to repeat it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KEPT_RUNS = 200


def create(runs: Path) -> Path:
    """Make a folder named by time, unique however many commands run at once."""
    runs.mkdir(parents=True, exist_ok=True)
    _prune(runs)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        folder = runs / (stamp if number == 0 else f"{stamp}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            _point_latest(runs, folder)
            return folder
    raise FileExistsError(f"{runs}/{stamp}-*")


def write_spec(folder: Path, spec: Mapping[str, Any], repeat: str) -> None:
    """Write the spec of what is booted, and the command that boots it again."""
    (folder / "spec.json").write_text(json.dumps(spec, indent=2, sort_keys=True) + "\n")
    write_repeat(folder, repeat)


def write_repeat(folder: Path, repeat: str) -> None:
    """Write the command as an executable file."""
    script = folder / "repeat"
    script.write_text(f"#!/bin/sh\nexec {repeat}\n")
    script.chmod(0o755)


def _point_latest(runs: Path, folder: Path) -> None:
    link = runs / f".latest-{os.getpid()}"
    with contextlib.suppress(OSError):
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        os.replace(link, runs / "latest")


def _prune(runs: Path) -> None:
    folders = sorted(path for path in runs.iterdir() if path.is_dir() and not path.is_symlink())
    for old in folders[:-_KEPT_RUNS]:
        shutil.rmtree(old, ignore_errors=True)

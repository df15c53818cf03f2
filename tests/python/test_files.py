# SPDX-License-Identifier: GPL-2.0-only
"""kvm.files: complete files, and folders that keep the most recently used."""

from __future__ import annotations

import os
from pathlib import Path

from kvm import files


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for text in ("first", "second"):
        files.write_whole(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_the_artifacts_used_last_are_kept_and_unfinished_ones_left_alone(tmp_path: Path) -> None:
    for age, name in enumerate(("newest", "older", "oldest")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    unfinished = tmp_path / f"{files.UNFINISHED}x"
    unfinished.mkdir()
    os.utime(unfinished, (1, 1))
    files.keep_newest(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "older", unfinished.name}

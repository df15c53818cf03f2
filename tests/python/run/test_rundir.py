# SPDX-License-Identifier: GPL-2.0-only
"""Run folders never collide, and the newest is easy to find."""

from __future__ import annotations

from pathlib import Path

from kvm.run import rundir


def test_folders_are_unique_and_latest_points_at_the_newest(tmp_path: Path) -> None:
    made = [rundir.create(tmp_path) for _ in range(5)]
    assert len(set(made)) == 5
    assert (tmp_path / "latest").resolve() == made[-1]


def test_old_runs_are_dropped(tmp_path: Path) -> None:
    for number in range(rundir._KEPT_RUNS + 20):
        (tmp_path / f"20200101-000000-{number:04d}").mkdir()
    rundir.create(tmp_path)
    assert len([p for p in tmp_path.iterdir() if not p.is_symlink()]) == rundir._KEPT_RUNS + 1


def test_the_repeat_file_runs(tmp_path: Path) -> None:
    rundir.write_spec(tmp_path, {"vcpus": 1}, "true")
    assert (tmp_path / "repeat").stat().st_mode & 0o111
    assert (tmp_path / "repeat").read_text().endswith("exec true\n")

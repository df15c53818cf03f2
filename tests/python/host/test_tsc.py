# SPDX-License-Identifier: GPL-2.0-only
"""kvm.host.tsc: a plausible, steady figure, measured once."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.host import tsc


def test_two_measurements_agree_within_200_ppm() -> None:
    first, second = tsc.measure_khz(), tsc.measure_khz()
    assert first > 100_000
    assert abs(first - second) * 5000 < first


def test_the_figure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tsc.tsc_khz(tmp_path)
    monkeypatch.setattr(tsc, "measure_khz", lambda: pytest.fail("measured again"))
    assert tsc.tsc_khz(tmp_path) == first


def test_where_it_cannot_be_measured_it_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise PermissionError("no executable memory")

    monkeypatch.setattr(tsc, "measure_khz", refuse)
    assert tsc.tsc_khz(tmp_path) is None

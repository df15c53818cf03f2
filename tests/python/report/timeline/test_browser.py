# SPDX-License-Identifier: GPL-2.0-only
"""The page in a real browser: it fits the window, and what a guest wrote does not run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvm.report.timeline.model import Timeline
from kvm.report.timeline.page import render
from support.browser import NAMES, Browser, browser, installed

_PROGRAM = installed()

pytestmark = [
    pytest.mark.skipif(_PROGRAM is None, reason=f"no browser on PATH: {', '.join(NAMES)}"),
    pytest.mark.timeout(90),
]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert _PROGRAM is not None
    with browser(_PROGRAM, tmp_path_factory.mktemp("profile")) as started:
        yield started


def test_it_fits_every_window_and_names_make_room_for_bars(
    chromium: Browser, booted: Timeline, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    file.write_text(render(booted, title="A boot", facts={"run": "x" * 300}), encoding="utf-8")
    chromium.allow_scripts(True)
    left = "document.querySelector('.plot').getBoundingClientRect().left"
    for width, is_beside in ((1280, True), (390, False), (320, False)):
        chromium.show(file, width=width, height=800)
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width
        assert (chromium.evaluate(left) > 250) is is_beside


def test_with_scripts_allowed_the_guests_do_not_run(
    chromium: Browser, hostile: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    page = render(Timeline.from_record(hostile), title="A boot", facts={})
    file.write_text(page, encoding="utf-8")
    chromium.allow_scripts(True)
    chromium.show(file, width=390, height=800)
    assert chromium.evaluate("document.title") == "A boot"
    assert chromium.evaluate("document.scripts.length + document.images.length") == 0
    assert chromium.evaluate("document.documentElement.scrollWidth") <= 390

# SPDX-License-Identifier: GPL-2.0-only
"""The page in a real browser: it fits the window, is readable, and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.bisect.model import Report
from kvm.report.bisect.html.page import page
from support.browser import LOW_CONTRAST, NAMES, Browser, browser, installed

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


@pytest.fixture
def file(any_report: Report, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(page(any_report), encoding="utf-8")
    return path


def test_it_fits_every_window_without_scripts(chromium: Browser, file: Path) -> None:
    for allowed in (False, True):
        chromium.allow_scripts(allowed)
        for width in (1280, 390, 320):
            chromium.show(file, width=width, height=800)
            shown_width, shown_height = chromium.content_size()
            assert shown_width <= width
            assert shown_height > 800


def test_with_scripts_allowed_none_run(chromium: Browser, file: Path) -> None:
    chromium.allow_scripts(True)
    chromium.show(file, width=390, height=800)
    assert "commit" in chromium.evaluate("document.title")
    assert chromium.evaluate("document.scripts.length + document.images.length") == 0


def test_words_have_contrast_in_both_schemes(chromium: Browser, file: Path) -> None:
    chromium.allow_scripts(True)
    for dark in (False, True):
        chromium.show(file, width=1280, height=900, dark=dark)
        assert chromium.evaluate(LOW_CONTRAST) == [], f"dark={dark}"


def test_a_letter_of_the_path_leads_to_its_step_below_the_bar(
    chromium: Browser, interaction: Report, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(interaction), encoding="utf-8")
    chromium.allow_scripts(True)
    chromium.show(path, width=390, height=844)
    chromium.evaluate("document.querySelector('.path a[href=\"#step-4\"]').click()")
    top = chromium.evaluate("document.getElementById('step-4').getBoundingClientRect().top")
    bar = chromium.evaluate("document.querySelector('nav').getBoundingClientRect().bottom")
    assert bar <= top < 844

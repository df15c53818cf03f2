# SPDX-License-Identifier: GPL-2.0-only
"""The page in a real browser: it fits the window, needs no script, and runs none."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.report.matrix.html.page import page
from kvm.report.matrix.view import View
from support.browser import LOW_CONTRAST, NAMES, Browser, browser, installed

_PROGRAM = installed()

pytestmark = [
    pytest.mark.skipif(_PROGRAM is None, reason=f"no browser on PATH: {', '.join(NAMES)}"),
    pytest.mark.timeout(90),
]

_WIDE, _PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert _PROGRAM is not None
    with browser(_PROGRAM, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def file(view: View, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(view), encoding="utf-8")
    return path


def _shades(png: bytes) -> int:
    """How many different byte values a screenshot's rows have: a blank one has very few."""
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return len(set(zlib.decompress(data)))


@pytest.mark.parametrize("size", [_WIDE, _PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_without_scripts_the_page_is_drawn_and_fits_the_window(
    chromium: Browser, file: Path, size: tuple[int, int], dark: bool
) -> None:
    chromium.allow_scripts(False)
    width, height = size
    chromium.show(file, width=width, height=height, dark=dark)
    content_width, content_height = chromium.content_size()
    assert content_width <= width
    assert content_height > 5000
    assert _shades(chromium.picture()) > 40


@pytest.mark.parametrize("size", [_WIDE, _PHONE, (320, 600)], ids=["wide", "phone", "narrow"])
def test_with_everything_unfolded_no_part_sticks_out(
    chromium: Browser, file: Path, size: tuple[int, int]
) -> None:
    chromium.allow_scripts(True)
    width, height = size
    chromium.show(file, width=width, height=height)
    chromium.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width


def test_with_scripts_allowed_the_guests_do_not_run(chromium: Browser, file: Path) -> None:
    chromium.allow_scripts(True)
    chromium.show(file, width=1280, height=900)
    assert chromium.evaluate("document.title").startswith("Matrix run 2:")
    assert chromium.evaluate("document.scripts.length + document.images.length") == 0


def test_the_filter_hides_passing_cells_without_a_script(chromium: Browser, file: Path) -> None:
    chromium.allow_scripts(True)
    chromium.show(file, width=1280, height=900)
    shown = "[...document.querySelectorAll('.cell')].filter(c => c.checkVisibility()).length"
    assert chromium.evaluate(shown) == 70
    chromium.evaluate("document.querySelector('#only-bad').checked = true")
    assert chromium.evaluate(shown) == 6


def test_a_grid_link_leads_to_its_cell_below_the_bar(chromium: Browser, file: Path) -> None:
    chromium.allow_scripts(True)
    chromium.show(file, width=390, height=844)
    cell = "cell-lab-vcpus4-pci-smp_stress"
    chromium.evaluate(f"document.querySelector('.grid a[href=\"#{cell}\"]').click()")
    top = chromium.evaluate(f"document.getElementById('{cell}').getBoundingClientRect().top")
    bar = chromium.evaluate("document.querySelector('nav').getBoundingClientRect().bottom")
    assert bar <= top < 844


def test_words_have_contrast_in_both_schemes(chromium: Browser, file: Path) -> None:
    chromium.allow_scripts(True)
    for dark in (False, True):
        chromium.show(file, width=1280, height=900, dark=dark)
        low = chromium.evaluate(LOW_CONTRAST)
        assert low == [], f"dark={dark}"

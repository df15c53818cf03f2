# SPDX-License-Identifier: GPL-2.0-only
"""The page's content, and that nothing a guest writes becomes markup in it."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest

from kvm.report.kit.marks import anchors
from kvm.report.kit.tag import Markup, join, tag
from kvm.report.matrix.html.page import page
from kvm.report.matrix.view import View
from kvm.results.model import MatrixRun
from support.markup import Reader
from support.matrix_run import HOSTILE, STARTED, passed


@pytest.fixture(scope="module")
def text(view: View) -> str:
    return page(view)


@pytest.fixture(scope="module")
def reader(text: str) -> Reader:
    return Reader(text)


def _article(text: str, cell: str) -> str:
    found = re.search(rf'<article id="cell-{re.escape(cell)}".*?</article>', text, re.DOTALL)
    assert found is not None, cell
    return found[0]


def test_guest_output_never_becomes_markup(reader: Reader) -> None:
    assert not reader.elements.keys() & {"script", "img", "iframe", "link", "object", "form"}
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert "document.title='owned'" in "".join(reader.words)


def test_nothing_is_loaded_and_no_script_may_run(reader: Reader) -> None:
    assert not reader.values("src")
    assert all(link.startswith("#") for link in reader.values("href"))
    assert any(value.startswith("default-src 'none'") for value in reader.values("content"))
    assert "url(" not in "".join(reader.words)


def test_tags_are_balanced_and_ids_unique_and_links_lead_somewhere(reader: Reader) -> None:
    assert (reader.open, reader.unbalanced) == ([], [])
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in reader.values("href")} <= set(ids)
    assert set(reader.values("aria-labelledby")) <= set(ids)


def test_a_page_says_its_language_and_fits_a_phone(reader: Reader) -> None:
    assert ("html", "lang", "en") in reader.attributes
    assert "width=device-width, initial-scale=1" in reader.values("content")
    assert reader.elements["caption"] >= 1
    assert reader.elements["h1"] == 1
    assert {"col", "row"} <= set(reader.values("scope"))


def test_the_title_counts_verdicts(text: str) -> None:
    assert "<title>Matrix run 2: 3 FAIL, 1 ERROR, 1 FLAKY, 1 SKIP, 64 PASS</title>" in text


def test_every_cell_is_in_the_grid_and_in_full(view: View, reader: Reader) -> None:
    assert reader.elements["article"] == len(view.cells) == 70
    links = Counter(reader.values("href"))
    assert all(links[f"#{anchor}"] >= 2 for anchor in anchors(view.cells).values())


def test_failing_cells_come_first(text: str) -> None:
    verdicts = re.findall(r'<article id="[^"]*" class="cell box v-(\w+)"', text)
    assert verdicts == ["fail"] * 3 + ["error", "flaky", "skip"] + ["pass"] * 64


def test_changes_are_told_worst_first(text: str) -> None:
    kinds = re.findall(r"</span> (newly failing|no longer tried|slower|fixed)</span>", text)
    assert kinds == ["newly failing"] * 5 + ["no longer tried"] + ["slower"] * 3


def test_a_failed_cell_shows_its_proof(text: str) -> None:
    cell = _article(text, "lab-vcpus2-pci-blk_integrity")
    assert "kernel-oops" in cell
    assert "Evidence: registers" in cell
    assert "613 lines, 400 shown, 11 marked" in cell
    assert len(re.findall("<mark", cell)) == 11
    assert "… 213 lines left out …" in cell
    assert "+776" in cell  # mmio exits, compared with the run before
    assert "run 1: PASS" in cell and "run 2: FAIL kernel-oops" in cell
    assert "./invoke test --matrix --cell lab-vcpus2-pci-blk_integrity" in cell
    assert "build/runs/1-9/console.log" in cell


def test_failing_checks_come_before_good_ones_which_are_folded(text: str) -> None:
    cell = _article(text, "lab-vcpus1-pci-clock")
    assert "33 checks: 1 FAIL, 1 SKIP, 31 PASS" in cell
    assert "expected 4096 pages, saw 4095" in cell
    assert cell.index("dirty_log") < cell.index("31 more that did not fail") < cell.index("amx")


def test_a_flaky_cell_lists_its_attempts(text: str) -> None:
    assert "3 attempts" in _article(text, "lab-vcpus4-mmio-rng")


def test_the_page_is_the_same_each_time(view: View, text: str) -> None:
    assert page(view) == text


def test_too_large_a_page_loses_details_of_good_cells_first_and_says_so(view: View) -> None:
    small = page(view, max_bytes=100_000)
    assert len(small.encode()) < len(page(view).encode()) * 0.8
    assert Reader(small).elements["article"] == 70
    left_out = re.search(r"(\d+) cells shown without checks, evidence and console", small)
    assert left_out is not None and 0 < int(left_out[1]) < 70
    assert "Evidence: registers" in _article(small, "lab-vcpus2-pci-blk_integrity")
    assert "would be too large" in _article(small, "lab-debug-vcpus2-mem1024-mmio-nosmp-boot")


@pytest.mark.parametrize("cells", [{}, {"a": passed("a")}])
def test_a_small_or_unfinished_run_has_a_page(cells: dict[str, object]) -> None:
    run = MatrixRun(1, STARTED, ("a", "b"))
    text = page(View(run=run, cells=cells))  # type: ignore[arg-type]
    assert "did not run" in text
    assert "still running, or killed" in text
    assert "There is no earlier run" in text
    assert Reader(text).unbalanced == []


def test_hostile_cell_names_stay_text(view: View) -> None:
    odd = {name: passed(name, axes={HOSTILE: HOSTILE}) for name in (HOSTILE, '"><b', "'><b")}
    run = dataclasses.replace(view.run, command=HOSTILE, commit=HOSTILE, subset=HOSTILE)
    reader = Reader(page(View(run=run, cells=odd)))
    assert not reader.elements.keys() & {"script", "img", "b"}
    assert len(set(reader.values("id"))) == len(reader.values("id"))


def test_only_markup_is_markup() -> None:
    assert tag("p", "a < b & c", title='"x" <y>') == (
        '<p title="&quot;x&quot; &lt;y&gt;">a &lt; b &amp; c</p>'
    )
    assert tag("p", tag("b", "x"), None, ["y", Markup("<br>")]) == "<p><b>x</b>y<br></p>"
    assert join("<", Markup("<i>")) == "&lt;<i>"
    assert tag("input", checked=True, disabled=False, id=None) == "<input checked>"

# SPDX-License-Identifier: GPL-2.0-only
"""The page of all options is that of this checkout's commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from invoke.collection import Collection

from kvm import process
from kvm.cli import reference, run

ROOT = Path(__file__).parents[3]
MAKE = ("-m", "kvm.cli.reference")


def test_docs_options_is_up_to_date() -> None:
    made = process.run([sys.executable, *MAKE], cwd=ROOT, timeout_s=60).output
    kept = (ROOT / "docs" / "options.md").read_text()
    assert made == kept, f"write it anew: python {' '.join(MAKE)} >docs/options.md"


@pytest.fixture(scope="module")
def page() -> str:
    return reference.page(Collection(run.boot, run.build_and_boot, run.report))


def row(page: str, option: str) -> str:
    (found,) = [line for line in page.splitlines() if line.startswith(f"| `{option}")]
    return found


def test_commands_with_the_same_options_share_a_section(page: str) -> None:
    assert "## `./invoke boot`, `./invoke build-and-boot`\n" in page
    assert page.count("## ") == 2


def test_an_option_shows_its_kind_its_default_and_its_choices(page: str) -> None:
    assert row(page, "--cpus, -p N`").startswith("| `--cpus, -p N` | `1` |")
    assert "| `256M` |" in row(page, "--memory")
    assert row(page, "--transport mmio\\|pci").startswith("| `--transport mmio\\|pci` | `mmio` |")
    assert row(page, "--[no-]stdin").startswith("| `--[no-]stdin` |  |")
    assert row(page, "--share, -e TEXT").startswith("| `--share, -e TEXT` |  |")


def test_examples_are_set_apart(page: str) -> None:
    assert "\n\n    ./invoke build-and-boot --cpus 4" in page

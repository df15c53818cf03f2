# SPDX-License-Identifier: GPL-2.0-only
"""CI recipes call tasks that exist, and do nothing that a developer could not do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tasks

_CALL = re.compile(r"\./invoke ([\w.\-]+)((?: --[\w-]+)?)")


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_a_recipe_calls_only_tasks_there_are(name: str, root: Path) -> None:
    text = (root / "ci" / "recipes" / name).read_text()
    known = {context.name for context in tasks.namespace.to_contexts()}
    called = [match[1] for match in _CALL.finditer(text)]
    assert {"test", "report"} <= set(called)
    assert set(called) <= known


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_a_recipe_keeps_kernels_by_what_makes_their_id(name: str, root: Path) -> None:
    text = (root / "ci" / "recipes" / name).read_text()
    assert "linux/pin.toml" in text
    assert "linux/patches" in text

# SPDX-License-Identifier: GPL-2.0-only
"""Where a bench's figures go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def render(record: Mapping[str, Any], table: str, json_target: str) -> str:
    """The table, or the JSON for a ``json_target`` of ``-``; any other is a file for the JSON."""
    text = json.dumps(record, indent=2) + "\n"
    if json_target == "-":
        return text
    if json_target:
        Path(json_target).write_text(text)
    return table

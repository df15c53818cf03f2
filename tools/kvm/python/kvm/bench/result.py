# SPDX-License-Identifier: GPL-2.0-only
"""The result of a bench."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures for scripts, and as a table for people."""

    record: Mapping[str, Any]
    table: str

    @property
    def text(self) -> str:
        return json.dumps(self.record, indent=2) + "\n"

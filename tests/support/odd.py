# SPDX-License-Identifier: GPL-2.0-only
"""Characters in a path that make or its shell would split or expand."""

from __future__ import annotations

ODD = (*" \t:#$%'\"\\`;&|<>*?()[]", "\n")

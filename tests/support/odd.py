# SPDX-License-Identifier: GPL-2.0-only
"""Characters that make, or the shell it calls, takes a path apart at."""

from __future__ import annotations

ODD = (*" \t:#$%'\"\\`;&|<>*?()[]", "\n")

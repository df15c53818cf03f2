# SPDX-License-Identifier: GPL-2.0-only
"""The type of a function that reports the current step; callers pass one to long work."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]

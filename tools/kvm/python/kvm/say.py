# SPDX-License-Identifier: GPL-2.0-only
"""How work tells what it does now: whoever starts it hands it one of these."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]

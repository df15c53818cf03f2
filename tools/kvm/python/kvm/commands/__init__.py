# SPDX-License-Identifier: GPL-2.0-only
"""Command groups of ``tasks.py``: like it, each parses, makes one call, and prints."""

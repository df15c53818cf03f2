# SPDX-License-Identifier: GPL-2.0-only
"""The messages of our protocols, typed. Imported by type checkers alone: it costs nobody time."""

# SPDX-License-Identifier: GPL-2.0-only
"""The messages of our protocols, typed. Only type checkers import them, so they cost no time."""

# SPDX-License-Identifier: GPL-2.0-only
"""Guests for pytest files: a plugin, and what its fixture gives to a test."""

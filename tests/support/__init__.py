# SPDX-License-Identifier: GPL-2.0-only
"""Helpers that tests of several packages share."""

# SPDX-License-Identifier: GPL-2.0-only
"""Builds a kernel tree and a VMM side by side, boots the one on the other, judges the result."""

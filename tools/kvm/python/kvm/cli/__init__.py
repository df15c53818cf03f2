# SPDX-License-Identifier: GPL-2.0-only
"""The command line: each task reads its options and makes one call."""

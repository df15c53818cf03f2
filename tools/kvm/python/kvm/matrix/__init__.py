# SPDX-License-Identifier: GPL-2.0-only
"""The test matrix: which machines to boot with what in them, and what came of it."""

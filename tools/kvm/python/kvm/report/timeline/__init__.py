# SPDX-License-Identifier: GPL-2.0-only
"""Where a boot's time went: a ``Timeline`` of one run record as a page or as text, and the
comparison of two groups of boots."""

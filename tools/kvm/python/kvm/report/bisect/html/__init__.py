# SPDX-License-Identifier: GPL-2.0-only
"""A bisection as one page that holds everything: no script, nothing loaded from elsewhere."""

# SPDX-License-Identifier: GPL-2.0-only
"""A bisection as one self-contained page: no script, nothing loaded from elsewhere."""

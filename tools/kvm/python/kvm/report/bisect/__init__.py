# SPDX-License-Identifier: GPL-2.0-only
"""A bisection that ended, as text, Markdown, JSON or a page. All but ``write`` is pure."""

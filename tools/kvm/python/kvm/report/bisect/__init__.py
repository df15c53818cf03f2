# SPDX-License-Identifier: GPL-2.0-only
"""Renders a finished bisection as text, Markdown, JSON or a page. All but ``write`` is pure."""

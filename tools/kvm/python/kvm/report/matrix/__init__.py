# SPDX-License-Identifier: GPL-2.0-only
"""Renders the ``View`` of a matrix run for people and CI: a page, JUnit, KTAP, JSON, Markdown."""

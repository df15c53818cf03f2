# SPDX-License-Identifier: GPL-2.0-only
"""A matrix run for people and for CI: a page, JUnit, KTAP, JSON and Markdown of one ``View``."""

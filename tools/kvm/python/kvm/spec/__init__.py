# SPDX-License-Identifier: GPL-2.0-only
"""The parts of a machine, each defined once: words, JSON, checks. Needs no compiled core."""

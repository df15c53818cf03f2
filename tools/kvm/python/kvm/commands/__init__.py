# SPDX-License-Identifier: GPL-2.0-only
"""The commands, as called once their words are parsed."""

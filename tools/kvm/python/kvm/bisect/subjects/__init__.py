# SPDX-License-Identifier: GPL-2.0-only
"""The kinds of tests that can be bisected, a module for each."""

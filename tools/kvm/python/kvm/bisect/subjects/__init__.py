# SPDX-License-Identifier: GPL-2.0-only
"""The tests that can be bisected, a module for each kind."""

# SPDX-License-Identifier: GPL-2.0-only
"""Finds the commit that broke something, and the half of it that is to blame."""

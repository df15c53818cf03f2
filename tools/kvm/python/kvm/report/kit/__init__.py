# SPDX-License-Identifier: GPL-2.0-only
"""The HTML that all reports are made of."""

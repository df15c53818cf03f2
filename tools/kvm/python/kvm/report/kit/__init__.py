# SPDX-License-Identifier: GPL-2.0-only
"""The HTML components of all reports."""

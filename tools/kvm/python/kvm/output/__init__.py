# SPDX-License-Identifier: GPL-2.0-only
"""Output to people and files: progress, values in words, and targets of reports."""

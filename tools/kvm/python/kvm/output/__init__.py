# SPDX-License-Identifier: GPL-2.0-only
"""What people and files are shown: progress, words, and where a report is written."""

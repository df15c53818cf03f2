# SPDX-License-Identifier: GPL-2.0-only
"""What a user sees of a run: progress while it lasts, one closing line, a JSON record."""

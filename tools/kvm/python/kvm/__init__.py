# SPDX-License-Identifier: GPL-2.0-only
"""Build a kernel tree and a VMM side by side, boot one on the other, and judge the result."""

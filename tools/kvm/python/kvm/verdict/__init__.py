# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on a run: its terms, the console parser, and the rules. No I/O, no processes."""

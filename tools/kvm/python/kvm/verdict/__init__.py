# SPDX-License-Identifier: GPL-2.0-only
"""What a run proves: the words, the console parser, and the rules. No I/O, no processes."""

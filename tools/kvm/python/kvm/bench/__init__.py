# SPDX-License-Identifier: GPL-2.0-only
"""Speed as ratios against a peer measured in the same run, never as absolute times."""

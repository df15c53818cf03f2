# SPDX-License-Identifier: GPL-2.0-only
"""Speed as ratios against a peer measured in the same run, never as absolute times.

``inside`` is what runs in the lab host, with the compiled VMM's own Python; it imports nothing
but that and itself, so this package imports nothing.
"""

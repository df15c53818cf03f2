# SPDX-License-Identifier: GPL-2.0-only
"""Speed as ratios to a peer measured in the same run, never as absolute times.

``inside`` runs in the lab host, with the compiled VMM's own Python. It imports nothing else but
itself, so this package imports nothing.
"""

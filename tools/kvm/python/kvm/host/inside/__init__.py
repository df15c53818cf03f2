# SPDX-License-Identifier: GPL-2.0-only
"""Code that runs inside a lab host: its agent, started from one file that contains all of it."""

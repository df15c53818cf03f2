# SPDX-License-Identifier: GPL-2.0-only
"""What runs inside a lab host: its agent, which is started from one file that holds all of this."""

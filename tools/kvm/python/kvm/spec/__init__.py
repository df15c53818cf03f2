# SPDX-License-Identifier: GPL-2.0-only
"""What a machine is made of, said once: its words, its JSON, its checks. Needs no compiled core."""

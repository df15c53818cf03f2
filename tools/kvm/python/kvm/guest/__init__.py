# SPDX-License-Identifier: GPL-2.0-only
"""The inside of a machine: its init, the protocol that init speaks, and the initramfs."""

# SPDX-License-Identifier: GPL-2.0-only
"""What runs inside a machine: the protocol its init speaks, that init, and its initramfs."""

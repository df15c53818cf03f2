# SPDX-License-Identifier: GPL-2.0-only
"""Where machines run: on this computer's own KVM (native) or in a lab host (the tree's KVM)."""

# SPDX-License-Identifier: GPL-2.0-only
"""The hosts of machines: this computer's own KVM (native), or a lab host (the tree's KVM)."""

# SPDX-License-Identifier: GPL-2.0-only
"""The kernel half: from the pin and our patches to a built, identified image.

pin → fetch → tree (+ patches) → config → build → artifact, one module each.
"""

# SPDX-License-Identifier: GPL-2.0-only
"""One run of one machine: options → built halves → host → session → outcome → record."""

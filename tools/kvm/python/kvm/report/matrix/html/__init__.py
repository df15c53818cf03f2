# SPDX-License-Identifier: GPL-2.0-only
"""One page that holds everything: no script, nothing loaded from elsewhere."""

# SPDX-License-Identifier: GPL-2.0-only
"""One self-contained page: no script, nothing loaded from elsewhere."""

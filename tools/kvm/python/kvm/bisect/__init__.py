# SPDX-License-Identifier: GPL-2.0-only
"""Find the commit that broke something, and say which half of it is to blame."""

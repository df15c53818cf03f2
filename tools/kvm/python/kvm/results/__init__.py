# SPDX-License-Identifier: GPL-2.0-only
"""What matrix runs found, kept from run to run."""

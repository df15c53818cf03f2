# SPDX-License-Identifier: GPL-2.0-only
"""The results of matrix runs, kept from run to run."""

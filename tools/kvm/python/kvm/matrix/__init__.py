# SPDX-License-Identifier: GPL-2.0-only
"""The test matrix: the machines to boot with their workloads, and the results."""

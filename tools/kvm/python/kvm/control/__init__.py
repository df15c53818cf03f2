# SPDX-License-Identifier: GPL-2.0-only
"""Names for running machines: one process drives a machine, others send requests by its socket."""

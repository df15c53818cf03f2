# SPDX-License-Identifier: GPL-2.0-only
"""Running machines have names: one process drives a machine, others ask it by a Unix socket."""

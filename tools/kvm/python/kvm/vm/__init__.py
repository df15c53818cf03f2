# SPDX-License-Identifier: GPL-2.0-only
"""One virtual machine: what it is made of, the process that runs it, and how that is built."""

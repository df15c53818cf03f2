# SPDX-License-Identifier: GPL-2.0-only
"""Runs a payload, a program without a kernel, in a machine of its own."""

# SPDX-License-Identifier: GPL-2.0-only
"""Runs a folder of payloads according to its ``unittests.cfg``, a format of kvm-unit-tests."""

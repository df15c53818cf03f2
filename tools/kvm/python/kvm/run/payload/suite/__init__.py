# SPDX-License-Identifier: GPL-2.0-only
"""Runs a folder of test payloads by its ``unittests.cfg``, a format of kvm-unit-tests."""

# SPDX-License-Identifier: GPL-2.0-only
"""The part of a bench in the lab host; each module's ``main(job)`` prints its answer last."""

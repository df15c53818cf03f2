# SPDX-License-Identifier: GPL-2.0-only
"""What of a bench runs in the lab host; each module's ``main(job)`` prints its answer last."""

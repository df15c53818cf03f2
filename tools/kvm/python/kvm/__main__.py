# SPDX-License-Identifier: GPL-2.0-only
"""Started by ``./invoke``: runs the program, or reports that this revision's Python can't load.

It imports nothing of the package itself: a revision with a broken module proves nothing, and
Python's own exit code for it, 1, would mean "bad" to ``git bisect run``.
"""

from __future__ import annotations

import sys
import traceback

try:
    from kvm.cli.program import main
except Exception:
    traceback.print_exc()
    print("error: tools-kvm's own Python does not load\n  → fix the line above", file=sys.stderr)
    sys.exit(125)

sys.exit(main())

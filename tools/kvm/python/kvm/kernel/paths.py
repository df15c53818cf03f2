# SPDX-License-Identifier: GPL-2.0-only
"""Refuses, before minutes are spent, folders in which make can't build a kernel.

kbuild itself refuses blanks and colons, late; the other characters have a meaning in makefiles
or in the shell that runs their recipes.
"""

from __future__ import annotations

import re
from pathlib import Path

from kvm.errors import UsageError

# ci/bootstrap has the same list.
_NOT_FOR_MAKE = re.compile(r"""[\s:#$%'"\\`;&|<>*?()\[\]]""")


def refuse_odd(path: Path, what: str, hint: str) -> Path:
    """Return the path. Raises ``UsageError`` if make or its shell would split or expand it."""
    found = _NOT_FOR_MAKE.search(str(path))
    if found is not None:
        raise UsageError(
            f"{what} is {path}: make cannot build a kernel in a path with {found[0]!r}", hint
        )
    return path

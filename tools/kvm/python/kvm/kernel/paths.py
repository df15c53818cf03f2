# SPDX-License-Identifier: GPL-2.0-only
"""Which folders make can build a kernel in, said before minutes were spent on it.

kbuild refuses blanks and colons itself, late; the others have a meaning in makefiles or in the
shell that runs their recipes.
"""

from __future__ import annotations

import re
from pathlib import Path

from kvm.errors import UsageError

# ci/bootstrap has them too.
_NOT_FOR_MAKE = re.compile(r"""[\s:#$%'"\\`;&|<>*?()\[\]]""")


def refuse_odd(path: Path, what: str, hint: str) -> Path:
    """The path. Raises ``UsageError`` for one that make or its shell would take apart."""
    found = _NOT_FOR_MAKE.search(str(path))
    if found is not None:
        raise UsageError(
            f"{what} is {path}: make cannot build a kernel in a path with {found[0]!r}", hint
        )
    return path

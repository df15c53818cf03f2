# SPDX-License-Identifier: GPL-2.0-only
"""Options of a boot for tests: as values, or as a user would type them."""

from __future__ import annotations

from typing import Any

from kvm.run.options import BootOptions
from kvm.spec.fields import Option, options


def boot_options(**chosen: Any) -> BootOptions:
    """``BootOptions`` by the names of its fields; text is parsed as the option would."""
    known = options(BootOptions)
    return BootOptions(**{name: _value(known.get(name), given) for name, given in chosen.items()})


def _value(option: Option | None, given: Any) -> Any:
    if option is None or option.read is None:
        return given
    if isinstance(given, tuple) and option.repeatable:
        return tuple(option.read(one) if isinstance(one, str) else one for one in given)
    return option.value(given) if isinstance(given, str) else given

# SPDX-License-Identifier: GPL-2.0-only
"""The workloads, found by name. Each module here has a ``WORKLOAD`` or ``WORKLOADS``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from kvm.errors import UserError
from kvm.matrix.select import USER_WORKLOAD
from kvm.matrix.workload import Workload


def find(name: str, user_text: str = "") -> Workload:
    """A workload by its name; ``user_text`` is the user's own command line."""
    if name == USER_WORKLOAD:
        from kvm.matrix.workloads.payloads import PREFIX, payloads_workload
        from kvm.matrix.workloads.user import user_workload

        is_suite = user_text.startswith(PREFIX)
        return payloads_workload(user_text) if is_suite else user_workload(user_text)
    try:
        return known()[name]
    except KeyError:
        raise UserError(f"there is no workload {name!r}", f"use {', '.join(known())}") from None


@cache
def known() -> dict[str, Workload]:
    """Every workload by its name."""
    found: dict[str, Workload] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        offered = getattr(loaded, "WORKLOADS", ()) or (getattr(loaded, "WORKLOAD", None),)
        found.update({workload.name: workload for workload in offered if workload is not None})
    return dict(sorted(found.items()))

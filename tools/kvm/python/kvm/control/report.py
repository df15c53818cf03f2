# SPDX-License-Identifier: GPL-2.0-only
"""The output of ``machine.list`` and ``machine.stat``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

_MIB = 1 << 20
# Balloon statistics by their tags (virtio 1.2, 5.5.6.2.1); all but the counts are bytes.
_STATISTICS = (
    "swapped in",
    "swapped out",
    "major faults",
    "minor faults",
    "free",
    "total",
    "available",
    "caches",
    "huge pages made",
    "huge pages failed",
)
_COUNTS = frozenset(("major faults", "minor faults", "huge pages made", "huge pages failed"))
_TOP = 8


def table(machines: Iterable[Mapping[str, Any]]) -> str:
    """A line for each machine, under a heading, or a note that there is none."""
    rows = [("NAME", "STATE", "UP", "HOST", "VCPUS", "MIB", "PID", "KERNEL")]
    rows += [
        (
            str(one["name"]),
            str(one["state"]),
            _up(one),
            str(one.get("host", "")),
            str(one.get("cpus", "")),
            str(one.get("memory_mib", "")),
            str(one.get("pid", "")),
            str(one.get("kernel", "")),
        )
        for one in machines
    ]
    if len(rows) == 1:
        return "no machine is running"
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def statistics(stat: Mapping[str, Any]) -> str:
    """The state, the exits by reason and device, and the balloon if there is one."""
    exits = stat["exits"]
    lines = [f"state: {'paused' if stat['paused'] else 'running'}"]
    lines += _counted("exits to userspace", exits["reasons"])
    lines += _counted("accesses by device", exits["devices"])
    if (balloon := stat.get("balloon")) is not None:
        lines.append(
            f"balloon: {balloon['actual_bytes'] // _MIB} MiB of "
            f"{balloon['target_bytes'] // _MIB} MiB wanted"
        )
        lines += [_statistic(int(tag), value) for tag, value in balloon["statistics"].items()]
    return "\n".join(lines)


def _counted(title: str, counts: Mapping[str, int]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [
        f"{title}: {sum(counts.values())}",
        *(f"  {name:<24}{count:>10}" for name, count in ordered[:_TOP]),
    ]


def _statistic(tag: int, value: int) -> str:
    name = _STATISTICS[tag] if tag < len(_STATISTICS) else f"statistic {tag}"
    shown = str(value) if name in _COUNTS else f"{value // _MIB} MiB"
    return f"  {name:<24}{shown:>10}"


def _up(one: Mapping[str, Any]) -> str:
    if "since" not in one:
        return ""
    seconds = int(max(time.time() - float(one["since"]), 0))
    return f"{seconds // 60}:{seconds % 60:02}"

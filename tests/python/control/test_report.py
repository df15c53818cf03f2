# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import time

from kvm.control import report


def test_a_table_has_a_line_per_machine() -> None:
    known = {"name": "one", "state": "paused", "host": "lab", "cpus": 2, "memory_mib": 256}
    lines = report.table(
        [{**known, "since": time.time() - 61}, {"name": "x", "state": "no answer"}]
    )
    heading, first, second = lines.splitlines()
    assert heading.split()[:3] == ["NAME", "STATE", "UP"]
    assert first.split() == ["one", "paused", "1:01", "lab", "2", "256"]
    assert second.split() == ["x", "no", "answer"]


def test_no_machine_is_said_in_words() -> None:
    assert report.table([]) == "no machine is running"


def test_statistics_name_what_the_balloon_tells() -> None:
    text = report.statistics(
        {
            "paused": False,
            "exits": {"reasons": {"io": 3, "mmio": 40}, "devices": {"com1": 3}},
            "balloon": {
                "actual_bytes": 64 << 20,
                "target_bytes": 128 << 20,
                "statistics": {"3": 17, "4": 200 << 20, "99": 0},
            },
        }
    )
    assert "exits to userspace: 43" in text
    assert text.index("mmio") < text.index("io    ")
    assert "balloon: 64 MiB of 128 MiB wanted" in text
    assert "minor faults                    17" in text
    assert "free                       200 MiB" in text
    assert "statistic 99" in text

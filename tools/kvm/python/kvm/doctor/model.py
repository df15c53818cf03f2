# SPDX-License-Identifier: GPL-2.0-only
"""The doctor's findings: one ``Check`` a line, and the host that ``auto`` would choose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """The result of a check. Only ``BAD`` prevents a build or a boot."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; ``hint`` says what to do, and is empty if there is nothing to do."""

    name: str
    state: State
    detail: str
    hint: str = ""

    def to_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "mend": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, the host that ``auto`` chooses here, and why."""

    checks: tuple[Check, ...]
    host_choice: str
    why: str

    @property
    def healthy(self) -> bool:
        return all(check.state is not State.BAD for check in self.checks)

    @property
    def exit_code(self) -> int:
        return 0 if self.healthy else 1

    def to_json(self) -> dict[str, object]:
        return {
            "healthy": self.healthy,
            "checks": [check.to_json() for check in self.checks],
            "host": {"choice": self.host_choice, "why": self.why},
        }

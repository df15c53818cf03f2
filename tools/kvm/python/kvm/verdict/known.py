# SPDX-License-Identifier: GPL-2.0-only
"""Known warnings, by signature: ``--known-warnings FILE``.

The file has one signature a line, as in records and reports; ``#`` begins a comment line. A line
that is no signature is an error, because it could never match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kvm.errors import UserError
from kvm.verdict.finding import Finding, normalise
from kvm.verdict.vocabulary import Evidence, Outcome, Reason

HOST = "host "  # prefix of the signature of a lab host's warning
_KIND = "known warnings"


@dataclass(frozen=True, slots=True)
class KnownWarnings:
    """``lines`` is the line number of each signature in the file."""

    path: Path
    lines: Mapping[str, int]

    @classmethod
    def read(cls, path: Path) -> KnownWarnings:
        """Read the file. Raises ``UserError`` naming it and the line at fault."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"--known-warnings {path}: {error.strerror}", "name a file with a signature a line"
            ) from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: {error}", "write it in UTF-8") from error
        lines: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            signature = line.strip()
            if not signature or signature.startswith("#"):
                continue
            if signature in lines:
                raise UserError(
                    f"{path}:{number}: stands in line {lines[signature]} already", "remove one"
                )
            if normalise(signature) != signature:
                raise UserError(
                    f"{path}:{number}: {signature!r} is no signature: those have no addresses, "
                    "numbers of lines or CPUs",
                    f"write {normalise(signature)}",
                )
            lines[signature] = number
        return cls(path, lines)

    @classmethod
    def read_named(cls, text: str) -> KnownWarnings:
        """Read the file that a user names. Raises ``UserError``."""
        return cls.read(Path(text).expanduser().absolute())

    def name(self) -> str:
        """The file's name as a user writes it."""
        return str(self.path)

    @property
    def signatures(self) -> frozenset[str]:
        return frozenset(self.lines)

    def unseen(self, outcomes: Iterable[tuple[Evidence, ...]]) -> tuple[str, ...]:
        """A line for each signature that none of the outcomes has in its evidence."""
        items = (item for evidence in outcomes for item in evidence if item.kind == _KIND)
        seen = {line for item in items for line in item.lines}
        return tuple(
            f"{self.path}:{number}: did not occur: {signature}"
            for signature, number in self.lines.items()
            if signature not in seen
        )

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "lines": dict(self.lines)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> KnownWarnings:
        return cls(Path(record["path"]), record["lines"])


def signatures(known: KnownWarnings | None) -> frozenset[str]:
    """The signatures of a file; none without a file."""
    return known.signatures if known is not None else frozenset()


def name_of(finding: Finding, known: frozenset[str], *, of_host: bool) -> str:
    """The known signature of a finding, or ``""``. A panic is never known."""
    if finding.reason is not Reason.KERNEL_WARNING:
        return ""
    names = (finding.signature, *((HOST + finding.signature,) if of_host else ()))
    return next((name for name in names if name in known), "")


def seen(
    findings: Iterable[Finding], host_findings: Iterable[Finding], known: frozenset[str]
) -> frozenset[str]:
    """The signatures of the known ones."""
    names = {
        *(name_of(finding, known, of_host=False) for finding in findings),
        *(name_of(finding, known, of_host=True) for finding in host_findings),
    }
    return frozenset(names - {""})


def noted(outcome: Outcome, names: Iterable[str]) -> Outcome:
    """The outcome, with a note that these warnings occurred."""
    more = set(names)
    kept = []
    for item in outcome.evidence:
        if item.kind == _KIND:
            more |= set(item.lines)
        else:
            kept.append(item)
    if not more:
        return outcome
    return replace(outcome, evidence=(*kept, Evidence(_KIND, tuple(sorted(more)))))


def of(outcome: Outcome) -> frozenset[str]:
    """The signatures that ``noted`` added."""
    return frozenset(line for item in outcome.evidence if item.kind == _KIND for line in item.lines)

# SPDX-License-Identifier: GPL-2.0-only
"""The request for a bisection, checked, and kept so that it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from kvm.errors import UserError
from kvm.spec.fields import option
from kvm.spec.words import split
from kvm.verdict.vocabulary import Reason

if TYPE_CHECKING:
    from kvm.kernel.git import Repository


@dataclass(frozen=True, slots=True)
class Request:
    """``good`` and ``bad`` are revisions as typed. One of ``cell``, ``test`` and ``argv`` is set.

    ``fix``: the older end fails and the newer does not, and the commit that fixed it is searched
    for. ``reason`` and ``signature`` name the failure; by default it is the failing end's.
    ``configs`` is GOOD,BAD: kernel configs, whose difference is searched instead of history.
    """

    good: str = option("", short="g", help="an older revision that does not fail")
    bad: str = option("HEAD", short="b", help="a newer one that does")
    cell: str = option(
        "",
        short="c",
        help="what is run at each step: a cell of the matrix, such as lab-vcpus2-mmio-smp",
    )
    test: str = option("", short="t", help="or a pytest test, by its node id")
    argv: tuple[str, ...] = ()
    fix: bool = option(
        False, short="f", help="the older revision fails: find the commit that fixed it"
    )
    first_parent: bool = option(False, short="i", help="follow the first parent of merges alone")
    skip: tuple[str, ...] = option(
        (), short="s", help="do not test this revision or range (repeatable)"
    )
    paths: tuple[str, ...] = option(
        (), name="path", short="p", help="only commits that touch this path (repeatable)"
    )
    term_old: str = option("", short="e", help="the word for the older state, in git's log")
    term_new: str = option("", short="r", help="the word for the newer state")
    confidence: float = option(
        0.99,
        short="o",
        help="how sure the answer must be; a flaky test is run as often as that takes",
    )
    reason: str = option(
        "",
        short="a",
        help="hunt failures with this reason (default: what the failing end shows)",
    )
    signature: str = option("", short="n", help="hunt failures with this signature alone")
    deadline_s: float = option(
        3600.0,
        name="deadline",
        short="d",
        help="seconds that one run of a command or test may take",
    )
    blame: bool = option(True, help="also find the half that is to blame; --no-blame is quicker")
    configs: str = option(
        "",
        help="GOOD,BAD: find the kconfig symbols that make the cell fail instead of a commit",
    )
    devices: bool = option(
        False, short="v", help="find the optional devices that make the cell fail"
    )

    def check(self) -> Request:
        """Raise ``UserError`` for a senseless request; return self otherwise."""
        tests = [name for name in ("cell", "test", "argv") if getattr(self, name)]
        if len(tests) != 1:
            raise UserError(
                "what to run at each step?" if not tests else f"both {' and '.join(tests)} given",
                "give one of --cell ID, --test NODE, or a command after --",
            )
        if (self.configs or self.devices) and not self.cell:
            raise UserError("--configs and --devices vary a machine", "give --cell ID")
        if not (self.configs or self.devices or self.good):
            raise UserError("--good is missing", "give a revision that does not fail")
        if self.configs and len(self.config_names) != 2:
            raise UserError(f"--configs {self.configs}", "give two: --configs GOOD,BAD")
        if not 0.5 <= self.confidence < 1:
            raise UserError(f"--confidence {self.confidence}", "give 0.5 to 0.9999")
        known = {reason.value for reason in Reason}
        if self.reason and self.reason not in known:
            raise UserError(f"--reason {self.reason}", f"use one of {', '.join(sorted(known))}")
        if self.deadline_s <= 0:
            raise UserError(f"--deadline {self.deadline_s}", "give seconds above 0")
        return self

    @property
    def config_names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in split(self.configs) if name.strip())

    @property
    def words(self) -> str:
        """The test that is run, in words."""
        return self.cell or self.test or " ".join(self.argv)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Request:
        """Raises ``TypeError`` for a record that ``to_json`` did not write."""
        known = {field.name for field in fields(cls)}
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
            if name in known
        }
        return cls(**plain)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends as full commit ids; ``count`` is the number of commits between them."""

    good: str
    bad: str
    count: int


def resolve_ends(repository: Repository, request: Request) -> Ends:
    """The two commits. Raises ``UserError`` if nothing can be found between them."""
    good = _commit(repository, "--good", request.good)
    bad = _commit(repository, "--bad", request.bad)
    if good == bad:
        raise UserError(f"--good and --bad are the same commit, {good[:12]}", "give two commits")
    base = repository.run("merge-base", good, bad, check=False)
    if not base.ok:
        raise UserError(
            f"{request.good} and {request.bad} have no common history", "give two of one history"
        )
    if base.output.strip() == bad:
        hint = (
            "--good is the older end with --fix too; there it is the one that fails"
            if request.fix
            else "swap the two; or add --fix to find the commit that fixed it"
        )
        raise UserError(f"--good {request.good} is newer than --bad {request.bad}", hint)
    count = int(repository.call("rev-list", "--count", f"{good}..{bad}"))
    return Ends(good, bad, count)


def _commit(repository: Repository, option: str, revision: str) -> str:
    commit = repository.commit_of(revision)
    if commit is None:
        raise UserError(
            f"{option} {revision} names no commit of {repository.path}",
            "give a branch, tag or commit id",
        )
    return commit

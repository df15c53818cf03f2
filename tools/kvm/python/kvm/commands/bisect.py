# SPDX-License-Identifier: GPL-2.0-only
"""The ``bisect`` and ``bisect-step`` commands: from options to a report and an exit code."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from kvm import command_line
from kvm.bisect import variants
from kvm.bisect.hunt import Hunt
from kvm.bisect.model import Report
from kvm.bisect.request import Request, resolve_ends
from kvm.bisect.session import Session
from kvm.bisect.subject import Subject
from kvm.bisect.subjects.cell import CellSubject
from kvm.bisect.subjects.command import CommandSubject, PytestSubject
from kvm.bisect.workplace import Workplace
from kvm.commands import minimise
from kvm.commands.words import BisectWords
from kvm.errors import UserError, usage
from kvm.files import write_or_tell
from kvm.kernel import tree
from kvm.kernel.git import Repository
from kvm.kernel.tree import Mode
from kvm.lock import locked
from kvm.matrix import plan, workloads
from kvm.matrix.cell import Cell
from kvm.matrix.select import USER_WORKLOAD
from kvm.output.progress import Progress
from kvm.output.targets import Outputs, opened
from kvm.project import Project
from kvm.report.bisect import write as reports
from kvm.verdict.vocabulary import EXIT_CANNOT_TELL, EXIT_GOOD


def main(project: Project, progress: Progress, wanted: Request, words: BisectWords) -> int:
    """Search history, or the difference of two configs or device sets; return 0 if it was found."""
    targets = [*words.outputs, *((f"json:{words.json}",) if words.json else ())]
    with usage():
        files = reports.files(targets)
    if not words.resume:
        _check(project, wanted)
    lock = project.build / "bisect" / "lock"
    with locked(lock, "a bisection", wait_s=1.0, say=lambda text: None), opened(*files) as out:
        session = Session.unfinished(project) if words.resume else _begin(project, progress, wanted)
        if session.request.configs or session.request.devices:
            return _minimise(project, session, progress, words.json, out)
        report = _hunt(project, session, progress)
        progress.close()
        return _conclude(session, report, targets, out)


def _check(project: Project, wanted: Request) -> None:
    """Check the words before anything else, so that the user need not wait for an error."""
    with usage():
        wanted.check()
        if wanted.cell:
            find_cell(project, wanted.cell)
        if not (wanted.configs or wanted.devices):
            resolve_ends(_searched(project), wanted)


def find_cell(project: Project, name: str) -> Cell:
    """A cell of the plan, by its id; raises ``UserError`` naming the nearest one."""
    known = plan.load(project.root / "tests" / "matrix.toml", (*workloads.known(), USER_WORKLOAD))
    cells = {cell.id: cell for subset in known.subsets for cell in known.cells(subset)}
    if name in cells:
        return cells[name]
    close = difflib.get_close_matches(name, cells, 1)
    raise UserError(
        f"--cell {name}: the plan has no such cell",
        (f"did you mean {close[0]}? " if close else "")
        + "see ./invoke test --matrix --subset full --list",
    )


def _begin(project: Project, progress: Progress, wanted: Request) -> Session:
    command = command_line.typed()
    if wanted.configs or wanted.devices:
        return Session.begin(project, wanted, ("", ""), command)
    searched = _searched(project)
    ends = resolve_ends(searched, wanted)
    if searched.is_dirty():
        progress.note(f"{searched.path} has uncommitted changes: commits alone are searched")
    return Session.begin(project, wanted, (ends.good, ends.bad), command)


def _searched(project: Project) -> Repository:
    """The repository whose history is searched: the user's, which is only read."""
    source = tree.locate(project)
    return Repository(source.path if source.mode is Mode.EXTERNAL else project.root)


def _hunt(project: Project, session: Session, progress: Progress) -> Report:
    with progress.phase("work tree") as say:
        workplace = Workplace.make(project, session.journal(), say)
    subject = _subject(project, session, workplace)
    try:
        return Hunt(session, workplace, subject, progress).run()
    except KeyboardInterrupt:
        progress.note("nothing is lost: ./invoke bisect --resume goes on")
        raise
    finally:
        subject.close()


def _minimise(
    project: Project, session: Session, progress: Progress, json_target: str, out: Outputs
) -> int:
    """Minimise at one commit, the checkout's."""
    with progress.phase("work tree") as say:
        workplace = Workplace.make(project, session.journal(), say)
    subject = CellSubject(workplace, find_cell(project, session.request.cell), session.runs)
    try:
        if session.request.configs:
            good, bad = session.request.config_names
            varied = variants.configs(
                subject, workplace.head, (good, bad), project.linux / "configs", session.folder
            )
        else:
            varied = variants.devices(subject, workplace.head)
        found = minimise.minimise(varied, session, workplace, progress)
    finally:
        subject.close()
    progress.close()
    minimise.conclude(found, session, json_target, out)
    return out.exit_code(EXIT_GOOD)


def _subject(project: Project, session: Session, workplace: Workplace) -> Subject:
    wanted = session.request
    if wanted.cell:
        return CellSubject(workplace, find_cell(project, wanted.cell), session.runs)
    if wanted.test:
        return PytestSubject(workplace, (wanted.test,), session.runs, wanted.deadline_s)
    return CommandSubject(workplace, wanted.argv, session.runs, wanted.deadline_s)


def _conclude(session: Session, report: Report, targets: Sequence[str], out: Outputs) -> int:
    kept = [str(session.folder / f"report.{form}") for form in ("html", "md")]
    to_stdout = any(target.endswith(":-") for target in targets)
    reports.write(report, kept, _keep)
    reports.write(report, [*targets, *([] if to_stdout else ["text:-"])], out.put)
    # Last, and complete: with it the session counts as finished.
    reports.write(report, [str(session.folder / "report.json")], _keep)
    print(f"report: {_short(Path(kept[0]))}", file=sys.stderr)
    return out.exit_code(EXIT_GOOD if report.first_bad is not None else EXIT_CANNOT_TELL)


def _keep(path: str, text: str) -> None:
    write_or_tell(Path(path), text)


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path

# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke report``: a finished or running matrix run in the requested formats."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kvm.commands.words import ReportWords
from kvm.errors import UsageError, UserError, usage
from kvm.matrix import durations, plan, workloads
from kvm.matrix.select import USER_WORKLOAD
from kvm.output import targets
from kvm.output.targets import STDOUT
from kvm.project import Project
from kvm.report.matrix.gather import gather
from kvm.report.matrix.html.page import page
from kvm.report.matrix.junit import junit
from kvm.report.matrix.ktap import ktap
from kvm.report.matrix.markdown import markdown
from kvm.report.matrix.summary_json import summary_text
from kvm.report.matrix.view import View
from kvm.results import merge as merging
from kvm.results.model import MatrixRun
from kvm.results.store import Store
from kvm.results.verdict import exit_code
from kvm.verdict.vocabulary import EXIT_GOOD

# By the file's suffix, or by name for stdout.
_FORMATS = {
    "html": "html",
    "xml": "junit",
    "junit": "junit",
    "ktap": "ktap",
    "tap": "ktap",
    "json": "json",
    "md": "markdown",
    "markdown": "markdown",
    "durations": "durations",
}


def main(project: Project, words: ReportWords) -> int:
    """Render a run of the matrix in the requested formats; return 0.

    If it was merged from shards, the code is the verdict on it, as that of ``test --matrix``.
    """
    with usage():
        wanted = parse_outputs(words.outputs)
        if words.merge and words.run:
            raise UserError("--merge with --run: the joined run is rendered", "leave out --run")
    number = _merge(project, words.merge) if words.merge else words.run
    written = render(project, run=number or None, put=targets.put, **wanted)
    for path in written:
        if path != STDOUT:
            print(path, file=sys.stderr)
    return _verdict(project, number) if words.merge else EXIT_GOOD


def _merge(project: Project, words: Sequence[str]) -> int:
    names = (*workloads.known(), USER_WORKLOAD)
    known = plan.load(project.root / "tests" / "matrix.toml", names)
    order = [cell.id for cell in known.cells("full")]
    with usage():
        parts = merging.read([Path(word) for word in words])
    with Store.open(project.results) as store:
        return merging.merge(store, project.build, parts, order=order)


def _verdict(project: Project, number: int) -> int:
    """What a merged run says, on its last line and as an exit code."""
    with Store.open(project.results) as store:
        found, run = store.cells(number), store.run(number)
    assert run is not None
    counts = Counter(result.verdict.value for result in found.values())
    lacking = len(set(run.planned) - found.keys())
    told = [f"{count} {verdict}" for verdict, count in sorted(counts.items())]
    told += [f"{lacking} not reached"] * bool(lacking)
    print(f"run {number}: {', '.join(told) or 'no cells'}")
    return exit_code(found.values(), whole=not lacking and not run.interrupted)


def parse_outputs(words: Sequence[str]) -> dict[str, str]:
    """``["a.html", "junit:-"]`` → {"html": "a.html", "junit": "-"}."""
    parsed: dict[str, str] = {}
    for word in words:
        form, target = targets.parse(word, _FORMATS)
        if form in parsed:
            raise UserError(f"--output {word}: a second {form} report", "ask for one")
        parsed[form] = target
    return parsed


_RENDERERS: Mapping[str, Callable[[View], str]] = {
    "html": page,
    "junit": junit,
    "ktap": ktap,
    "json": lambda view: summary_text(view.run, view.cells, view.changes),
    "markdown": markdown,
    "durations": lambda view: durations.record(view.cells.values()),
}


def render(
    project: Project,
    *,
    run: int | None = None,
    put: Callable[[str, str], None] = targets.put,
    **forms: str,
) -> list[Path | str]:
    """Write the report of a run (default: the newest) in each form to its file; return the files.

    ``forms`` are those of ``parse_outputs``; ``-`` is stdout. The default is the page,
    ``build/report.html``.
    """
    wanted = {form: target for form, target in forms.items() if target}
    wanted = wanted or {"html": str(project.build / "report.html")}
    targets.refuse_twice(list(wanted.values()))
    view = _view(project, run)
    for form, target in wanted.items():
        put(target, _RENDERERS[form](view))
    return [target if target == STDOUT else Path(target) for target in wanted.values()]


def _view(project: Project, number: int | None) -> View:
    path = project.results
    if not path.exists():
        raise UserError(
            f"there are no results: {path} does not exist", "run ./invoke test --matrix first"
        )
    with Store.open(path) as store:
        return gather(store, _chosen(store, number, path), project.root)


def _chosen(store: Store, number: int | None, path: Path) -> MatrixRun:
    if number is not None:
        run = store.run(number)
        if run is not None:
            return run
    newest = store.runs(1)
    if not newest:
        raise UserError(f"{path} holds no run yet", "run ./invoke test --matrix first")
    if number is None:
        return newest[0]
    raise UsageError(f"there is no run {number} in {path}", f"the newest is {newest[0].number}")

# SPDX-License-Identifier: GPL-2.0-only
"""``./invoke report``: a finished or running matrix run in the requested formats."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kvm.commands.words import ReportWords
from kvm.errors import UsageError, UserError, usage
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
from kvm.results.model import MatrixRun
from kvm.results.store import Store

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
}


def main(project: Project, words: ReportWords) -> None:
    """Render a run of the matrix in the requested formats."""
    with usage():
        wanted = parse_outputs(words.outputs)
    written = render(project, run=words.run or None, put=targets.put, **wanted)
    for path in written:
        if path != STDOUT:
            print(path, file=sys.stderr)


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

# SPDX-License-Identifier: GPL-2.0-only
"""The run as Markdown for a CI step's summary page: what is not good first, the rest as counts.

Guest text is in ``<pre>`` with its markup escaped, which no number of backticks can end. CI systems
refuse summaries of more than 1 MiB, so evidence is left out if there is too much, and the text
says so.
"""

from __future__ import annotations

import html
import re

from kvm.output.words import (
    SYMBOLS,
    clean,
    duration,
    moment,
    one_line,
    plural,
    verdict_words,
)
from kvm.report.matrix.view import View
from kvm.report.matrix.why import why
from kvm.results.history import ChangeKind
from kvm.results.model import CellResult
from kvm.verdict.vocabulary import Verdict

MAX_BYTES = 900_000
_MAX_ROWS = 300
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$:])")


def markdown(view: View, max_bytes: int = MAX_BYTES) -> str:
    """The whole summary."""
    parts = [_head(view), _changes(view), _table(view)]
    size = sum(len(part.encode()) for part in parts)
    left_out = 0
    for result in _not_passing(view):
        section = _details(result)
        size += len(section.encode())
        if size > max_bytes:
            left_out += 1
        else:
            parts.append(section)
    if left_out:
        parts.append(f"The evidence of {plural(left_out, 'cell')} is left out, for size.\n")
    return "\n".join(part for part in parts if part)


def _head(view: View) -> str:
    counts = ", ".join(
        f"{SYMBOLS[verdict]} {count} {verdict.value}" for verdict, count in view.counts.items()
    )
    run = view.run
    facts = [
        f"started {moment(run.started)}",
        f"took {duration(view.seconds)}",
        *([f"commit {_text(run.commit)}"] if run.commit else []),
        *([f"VMM {_text(run.vmm_id)}"] if run.vmm_id else []),
        *(f"kernel {_text(name)} {_text(kernel)}" for name, kernel in view.kernels.items()),
    ]
    lines = [f"## Matrix run {run.number}: {counts or 'no results'}", "", "; ".join(facts) + "."]
    if view.missing:
        lines += ["", f"**{plural(len(view.missing), 'planned cell')} did not run.**"]
    return "\n".join(lines) + "\n"


def _changes(view: View) -> str:
    told = [change for change in view.changes if change.kind is not ChangeKind.STILL_FAILING]
    if not told:
        return ""
    lines = [
        f"- **{change.kind.value}** {_text(change.cell)}: {_text(change.detail)}"
        for change in told[:_MAX_ROWS]
    ]
    if len(told) > _MAX_ROWS:
        lines.append(f"- … and {len(told) - _MAX_ROWS} more")
    return "\n".join(["### What changed", "", *lines]) + "\n"


def _table(view: View) -> str:
    results = _not_passing(view)
    if not results:
        return ""
    rows = [
        f"| {SYMBOLS[result.verdict]} {_text(verdict_words(result.verdict, result.reason))} "
        f"| {_text(result.cell)} | {_text(one_line(result.summary, 200))} |"
        for result in results[:_MAX_ROWS]
    ]
    lines = ["### Not passing", "", "| verdict | cell | summary |", "|---|---|---|", *rows]
    if len(results) > _MAX_ROWS:
        lines += ["", f"… and {len(results) - _MAX_ROWS} more"]
    return "\n".join(lines) + "\n"


def _details(result: CellResult) -> str:
    lines = [*why(result), *([f"repeat: {clean(result.repeat)}"] if result.repeat else [])]
    title = html.escape(f"{verdict_words(result.verdict, result.reason)} {one_line(result.cell)}")
    # A blank line would end the HTML block in some renderers.
    body = "\n".join(html.escape(line, quote=False) if line.strip() else "&nbsp;" for line in lines)
    return f"<details><summary>{title}</summary>\n<pre>\n{body}\n</pre>\n</details>\n"


def _not_passing(view: View) -> list[CellResult]:
    return [result for result in view.worst_first if result.verdict is not Verdict.PASS]


def _text(text: str) -> str:
    """One line that stays plain text in a table: no markup, no link, no mention."""
    escaped = html.escape(_SPECIAL.sub(r"\\\1", one_line(text)), quote=False)
    return escaped.replace("@", "&#64;")

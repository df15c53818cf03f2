# SPDX-License-Identifier: GPL-2.0-only
"""Writes the report of a bisection in the requested formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kvm.bisect.model import Report
from kvm.output import targets as places
from kvm.report.bisect.html.page import page
from kvm.report.bisect.markdown import markdown
from kvm.report.bisect.record import json_text
from kvm.report.bisect.text import text

# By the file's suffix, or by name before a colon.
_FORMATS = {
    "html": "html",
    "md": "markdown",
    "markdown": "markdown",
    "json": "json",
    "txt": "text",
    "text": "text",
}
_RENDERERS: dict[str, Callable[[Report], str]] = {
    "html": page,
    "markdown": markdown,
    "json": json_text,
    "text": text,
}


def files(targets: Sequence[str]) -> tuple[str, ...]:
    """The files that ``write`` will write; ``-`` is stdout. Raises ``UserError`` for a bad one."""
    return tuple(file for _, file in _parsed(targets))


def write(
    report: Report, targets: Sequence[str], put: Callable[[str, str], None] = places.put
) -> tuple[str, ...]:
    """Write ``FILE.html``, ``.md``, ``.json``, ``.txt``, or ``FORMAT:FILE``; ``-`` is stdout.

    Returns the files, including ``-``; all are rendered before the first is written.
    """
    rendered = [(file, _RENDERERS[form](report)) for form, file in _parsed(targets)]
    for file, content in rendered:
        put(file, content)
    return tuple(file for file, _ in rendered)


def _parsed(targets: Sequence[str]) -> list[tuple[str, str]]:
    parsed = [places.parse(word, _FORMATS) for word in targets]
    places.refuse_twice([file for _, file in parsed])
    return parsed

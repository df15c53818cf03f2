# SPDX-License-Identifier: GPL-2.0-only
"""The targets of reports: ``FILE.html``, ``FORMAT:FILE``, and ``-`` for stdout.

Each report has its own formats: a table from a suffix or a name to a format.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from kvm.errors import UsageError, UserError, usage
from kvm.output.open_file import OpenFile
from kvm.verdict.vocabulary import EXIT_BROKEN_PIPE, EXIT_CANNOT_TELL, EXIT_GOOD

STDOUT = "-"


def parse(word: str, formats: dict[str, str]) -> tuple[str, str]:
    """``"a.html"`` → ("html", "a.html"); ``"json:-"`` → ("json", "-")."""
    named, colon, file = word.partition(":")
    is_named = bool(colon) and named in formats
    kind = named if is_named else Path(word).suffix.removeprefix(".")
    if kind not in formats:
        raise UserError(
            f"--output {word}: no format is known by that name",
            f"end the file's name in {_endings(formats)}, or write FORMAT:FILE",
        )
    target = file if is_named else word
    if not target:
        raise UserError(f"--output {word}: no file is named", f"write {word}FILE, or {word}-")
    return formats[kind], target


def refuse_twice(targets: Sequence[str]) -> None:
    """Refuse a target that is given twice: one report would replace the other."""
    twice = next((target for target in targets if targets.count(target) > 1), None)
    if twice is not None:
        raise UserError(f"two reports are to be written to {twice}", "name a file for each")


class Outputs:
    """A command's targets; see ``opened``."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._open: dict[str, OpenFile] = {}
        self._code = EXIT_GOOD

    def reserve(self, target: str) -> None:
        """Open a target. Raises ``UsageError`` if it can't be written; stdout is not checked."""
        if target in ("", STDOUT):
            return
        try:
            self._open[target] = self._stack.enter_context(OpenFile(target))
        except OSError as error:
            raise UsageError(
                f"nothing can be written to {target}: {error.strerror}",
                "name another file, or - for stdout",
            ) from error

    def put(self, target: str, text: str) -> None:
        """Write a report; a failure is reported, and other reports are still written."""
        data = text.encode("utf-8", "replace")
        try:
            if target == STDOUT:
                _to_stdout(data)
            else:
                if target not in self._open:
                    self.reserve(target)
                self._open[target].write(data)
        except UserError as error:
            self._refused(str(error))
        except BrokenPipeError:  # its reader has gone, which is allowed
            self._code = self._code or EXIT_BROKEN_PIPE
        except OSError as error:
            name = "stdout" if target == STDOUT else target
            self._refused(f"{name} could not be written: {error.strerror}")

    def exit_code(self, code: int) -> int:
        """The verdict's exit code, or an error's if that is good but a report was not written."""
        return code or self._code

    def _refused(self, words: str) -> None:
        self._code = EXIT_CANNOT_TELL
        print(f"error: {words}", file=sys.stderr)


@contextlib.contextmanager
def opened(*names: str) -> Iterator[Outputs]:
    """Open a command's targets before its work, so that a bad one is reported at once.

    They are opened as by a shell's ``>``: a file keeps its kind, and its content is gone. ``""``
    is no target. Raises ``UsageError``.
    """
    with usage():
        refuse_twice([name for name in names if name])
    with contextlib.ExitStack() as stack:
        outputs = Outputs(stack)
        for name in names:
            outputs.reserve(name)
        yield outputs


def put(target: str, text: str) -> None:
    """Write a report at once; makes its folder. Raises ``UserError``."""
    with opened(target) as outputs:
        outputs.put(target, text)
        if outputs.exit_code(EXIT_GOOD) != EXIT_GOOD:
            raise UserError(f"the report was not written to {target}", "name another file")


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.write(data.decode())
        sys.stdout.flush()
    except OSError:
        # Python would try to write the rest of the buffer at exit, and complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _endings(formats: dict[str, str]) -> str:
    """The first suffix of each format."""
    first = {form: suffix for suffix, form in reversed(formats.items())}
    *others, last = (f".{suffix}" for suffix in formats if suffix in first.values())
    return f"{', '.join(others)} or {last}" if others else last

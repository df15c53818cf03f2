# SPDX-License-Identifier: GPL-2.0-only
"""Where a report goes: ``FILE.html``, ``FORMAT:FILE``, and ``-`` for stdout.

The formats are each report's own: a table from a suffix or a name to what it stands for.
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
    """One report would replace the other."""
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
        """Raises ``UsageError`` for one that cannot be written; stdout always can be tried."""
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
        """Write a report; one that cannot be written is told, and keeps nobody from going on."""
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
        except BrokenPipeError:  # its reader left, as it may
            self._code = self._code or EXIT_BROKEN_PIPE
        except OSError as error:
            name = "stdout" if target == STDOUT else target
            self._refused(f"{name} could not be written: {error.strerror}")

    def exit_code(self, code: int) -> int:
        """The verdict's; where that is good and a report could not be written, it is not."""
        return code or self._code

    def _refused(self, words: str) -> None:
        self._code = EXIT_CANNOT_TELL
        print(f"error: {words}", file=sys.stderr)


@contextlib.contextmanager
def opened(*names: str) -> Iterator[Outputs]:
    """Open a command's targets before its work, so that one it cannot write is told at once.

    As a shell's ``>`` opens them: whatever kind of file it is stays that, and what was in it is
    gone. ``""`` is no target. Raises ``UsageError``.
    """
    with usage():
        refuse_twice([name for name in names if name])
    with contextlib.ExitStack() as stack:
        outputs = Outputs(stack)
        for name in names:
            outputs.reserve(name)
        yield outputs


def put(target: str, text: str) -> None:
    """Write a report at once; its folder is made. Raises ``UserError``."""
    with opened(target) as outputs:
        outputs.put(target, text)
        if outputs.exit_code(EXIT_GOOD) != EXIT_GOOD:
            raise UserError(f"the report was not written to {target}", "name another file")


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.write(data.decode())
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would be tried again, and complained of, at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _endings(formats: dict[str, str]) -> str:
    """The first suffix of each format."""
    first = {form: suffix for suffix, form in reversed(formats.items())}
    *others, last = (f".{suffix}" for suffix in formats if suffix in first.values())
    return f"{', '.join(others)} or {last}" if others else last

# SPDX-License-Identifier: GPL-2.0-only
"""The outermost layer of ``./invoke``: turns every way to end into a message and an exit code.

``git bisect run`` takes 1 to 124 as "bad", so only a verdict may end with one of those: a usage
error ends with 129, which stops a bisection, and whatever prevents a verdict ends with 125. A
traceback is only printed on request (``TOOLS_KVM_DEBUG=1``).
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

import invoke
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument
from invoke.program import Program

from kvm.cli import call
from kvm.errors import UserError
from kvm.output.words import clean
from kvm.verdict.vocabulary import EXIT_BROKEN_PIPE, EXIT_CANNOT_TELL, EXIT_USAGE

_FIRST_FREE = 3


class Commands(Program):
    """invoke's program, with exit codes for usage errors."""

    def parse_core(self, argv: list[str] | None) -> None:
        with _words():
            super().parse_core(argv)

    def parse_collection(self) -> None:
        try:
            super().parse_collection()
        except UserError as wrong:
            raise Exit(f"error: {wrong}", code=call.exit_code_of(wrong)) from wrong

    def parse_tasks(self) -> None:
        with _words():
            super().parse_tasks()


def main() -> int:
    """Run the command that ``sys.argv`` names; return the exit code."""
    _open_standard_streams()
    code = _run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as refused:
            code = code or _refused(refused)
            # Python would try to write the rest of the buffer at exit, and complain again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _run() -> int:
    program = Commands(
        name="Invoke", binary="inv[oke]", binary_names=["invoke"], version=invoke.__version__
    )
    try:
        _refuse_other_encodings(sys.argv)
        program.run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_CANNOT_TELL
    except Exit as end:
        print(clean(end.message or ""), file=sys.stderr)
        return int(end.code)
    except OSError as refused:
        return _refused(refused)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_CANNOT_TELL
    except Exception as bug:
        return _bug(bug)
    return 0


def _refused(refused: OSError) -> int:
    """A file could not be written or read, or stdout takes no more.

    If the reader of stdout left, nothing is printed, as in other programs.
    """
    if isinstance(refused, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    with contextlib.suppress(OSError):
        print(f"error: {refused.filename or 'stdout'}: {refused.strerror}", file=sys.stderr)
    return EXIT_CANNOT_TELL


def _bug(bug: Exception) -> int:
    if os.environ.get("TOOLS_KVM_DEBUG"):
        traceback.print_exception(bug)
    else:
        where = traceback.extract_tb(bug.__traceback__)[-1]
        print(
            f"error: this is a bug of tools-kvm: {type(bug).__name__}: {clean(str(bug))}\n"
            f"  at {where.filename}:{where.lineno}, in {where.name}\n"
            "  → TOOLS_KVM_DEBUG=1 shows how it came there",
            file=sys.stderr,
        )
    return EXIT_CANNOT_TELL


def _open_standard_streams() -> None:
    """If a standard stream is closed (``>&-``), keep a file of ours from taking its number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) < _FIRST_FREE:
        pass
    os.close(fd)
    sys.stdin = sys.stdin or open(0, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115


def _refuse_other_encodings(argv: list[str]) -> None:
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError:
            raw = os.fsencode(word)
            text = f"error: {raw!r} is not UTF-8\n  → write it in UTF-8"
            raise Exit(text, code=EXIT_USAGE) from None


@contextlib.contextmanager
def _words() -> Iterator[None]:
    """Turn invoke's complaints about the command line into exits."""
    try:
        yield
    except ParseError as wrong:
        raise Exit(f"error: {wrong}\n  → ./invoke --help COMMAND", code=EXIT_USAGE) from wrong
    except ValueError as wrong:  # from a conversion to the option's type
        raise Exit(f"error: {_option_of(wrong)}{wrong}", code=EXIT_USAGE) from wrong


def _option_of(wrong: ValueError) -> str:
    """``--cpus: `` if the value of that option was wrong."""
    frame = wrong.__traceback__
    name = ""
    while frame is not None:
        argument = frame.tb_frame.f_locals.get("self")
        if isinstance(argument, Argument) and argument.name:
            name = f"--{argument.name.replace('_', '-')}: "
        frame = frame.tb_next
    return name

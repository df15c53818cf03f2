# SPDX-License-Identifier: GPL-2.0-only
"""The user's own command line or program in the guest; follows kselftest's conventions."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from kvm.errors import UserError
from kvm.guest.initramfs import ExtraFile
from kvm.guest.programs import with_libraries
from kvm.matrix.workload import Bench, CellSkipped, Workload
from kvm.verdict.ktap import Report, Status, parse, status_of_exit_code
from kvm.verdict.vocabulary import Verdict

_DEADLINE_S = 600.0
_EXIT = re.compile(rb"\n?@@tools-kvm exit (\d+)\n$")
# The command's own code would end the boot as a failure before its results were read.
_WRAPPER = "(\n{command}\n)\ncode=$?\nprintf '\\n@@tools-kvm exit %d\\n' $code >&2\nexit 0\n"
_KTAP = re.compile(r"^(?:K?TAP version \d+|(?:not )?ok \d|1\.\.\d+)", re.MULTILINE)
_TAIL_LINES = 5


def user_workload(text: str) -> Workload:
    """``text`` is a shell command line for the guest; its first word may name a file here.

    That file and its libraries are put into the guest under ``/root``.
    """
    if not text.strip():
        raise UserError("the workload is empty", "give a command line, or a program's path")
    return Workload("user", lambda bench: _run(bench, text), f"`{text}` succeeds", _DEADLINE_S)


def guest_command(text: str) -> tuple[str, tuple[ExtraFile, ...]]:
    """The command line for the guest, and the files that it needs there."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"--workload {text!r}: {error}", "close its quotes") from None
    path = Path(words[0]).expanduser() if words else Path()
    if "/" not in words[0] or not path.is_file() or _in_every_guest(path):
        return text, ()
    target = f"/root/{path.name}"
    files = (ExtraFile(path.absolute(), target), *with_libraries(path.absolute())[1:])
    return shlex.join([target, *words[1:]]), files


def _in_every_guest(path: Path) -> bool:
    """Whether a path such as ``/bin/sh`` means the guest's own program."""
    return path.parent.as_posix() in ("/bin", "/sbin", "/usr/bin", "/usr/sbin")


def _run(bench: Bench, text: str) -> None:
    command, files = guest_command(text)
    done = bench.boot("sh", "-c", _WRAPPER.format(command=command), files=files)
    found = _EXIT.search(done.stderr)
    bench.check("the command ended", found is not None, command)
    code = int(found[1]) if found else -1
    stderr = _EXIT.sub(b"", done.stderr).decode(errors="replace")
    if _KTAP.search(done.text):
        _take_report(bench, parse(done.text.splitlines()))
    _take_code(bench, code, _tail(stderr) or _tail(done.text))


def _take_report(bench: Bench, report: Report) -> None:
    bench.add(report.cases)
    bench.check("its report is whole", not report.problems, "; ".join(report.problems))


def _take_code(bench: Bench, code: int, last_words: str) -> None:
    """Translate kselftest's codes: 0 pass, 1 fail, 2 xfail, 3 xpass, 4 skip, 124 timeout."""
    status = status_of_exit_code(code)
    if status is Status.SKIP:
        raise CellSkipped(f"it exited with {code}: {last_words or 'no reason given'}")
    ok = status.verdict is Verdict.PASS
    note = f"{code} ({status.value})"
    bench.check("exit code", ok, note if ok or not last_words else f"{note}: {last_words}")


def _tail(text: str) -> str:
    return " | ".join(line for line in text.strip().splitlines()[-_TAIL_LINES:] if line.strip())


# There is none without the user's text.
WORKLOADS: tuple[Workload, ...] = ()

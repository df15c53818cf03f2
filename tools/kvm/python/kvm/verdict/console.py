# SPDX-License-Identifier: GPL-2.0-only
"""The one parser of kernel console text: bytes in, ``Finding``s out.

It reads the guest's console, the lab host's console, and the text recovered from a guest's printk
buffer. Pure: it reads no file and starts no thread.

Two rules protect it from being fooled. A report must have the kernel's exact shape
(``shapes.py``). And once a console has shown printk time stamps, a line without one was not
written by printk: it neither starts a report nor continues one.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable

from kvm.verdict.finding import Finding, call_trace, normalise, title_of
from kvm.verdict.lines import ConsoleLine, LineSplitter
from kvm.verdict.shapes import End, Kind, Shape, match, match_last_resort
from kvm.verdict.vocabulary import Reason

MAX_REPORT_LINES = 160
# A guest that warns in a loop must neither fill our memory nor hide later reports.
MAX_FINDINGS = 64  # of one reason
MAX_ALIKE = 4  # of one signature
_CONTEXT_LINES = 12
_TAIL_LINES = 60

_CUT_HERE = "------------[ cut here ]------------"
_RULE = re.compile(r"={10,}$")
# Output of show_regs() and dump_stack(); frames and <TASK> marks start with a blank.
_TRACE_LINE = re.compile(
    r" |Call Trace:|Code: |Modules linked in:|Hardware name:|CPU: \d|Tainted: |Workqueue: "
    r"|Stopped task |RIP: |RSP: |R[A-DSB][XPI]: |R\d\d: |[FGCED]S: |CR2: |DR[03]: |PKRU: "
    r"|task:|NMI backtrace|Sending NMI|rcu: \t|\t"
)
# printk's stamps end with this word of the command line, a line that is itself still stamped.
_UNSTAMPED = re.compile(r"(?:Kernel c|C)ommand line: (?:.* )?printk\.time=[0nN]")
# Call traces that were requested, or that report a shortage and no fault.
_EXPLAINED = re.compile(r"sysrq: |.* invoked oom-killer: |FAULT_INJECTION: |Mem-Info:")
_SEVERITY = (Reason.KERNEL_WARNING, Reason.HANG, Reason.KERNEL_OOPS, Reason.KERNEL_PANIC)


class ConsoleParser:
    """Feed it the console as it comes; ask for ``findings`` at any time."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._splitter = LineSplitter()
        self._stamped = False
        self._last_text = ""
        self._recent: deque[ConsoleLine] = deque(maxlen=_CONTEXT_LINES)
        self._open: dict[str, _Report] = {}  # by printk caller; "" without CONFIG_PRINTK_CALLER
        self._closed: list[Finding] = []
        self._kept: Counter[Reason] = Counter()
        self._alike: Counter[str] = Counter()
        self._stamps_end = False
        self._explained = False

    def feed(self, data: bytes) -> tuple[Finding, ...]:
        """Take more bytes; return the reports that they completed."""
        before = len(self._closed)
        for line in self._splitter.feed(data):
            self._line(line)
        return tuple(self._closed[before:])

    def finish(self) -> tuple[Finding, ...]:
        """The stream ended: close what is open, and return all findings."""
        for line in self._splitter.finish():
            self._line(line)
        for caller in tuple(self._open):
            self._close(caller)
        return self.findings

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All reports so far, unfinished ones included, in the order they began."""
        unfinished = [report.finding() for report in self._open.values()]
        return tuple(sorted(self._closed + unfinished, key=lambda f: (f.first_line, f.last_line)))

    @property
    def dying(self) -> bool:
        """Whether this kernel has panicked, so that nothing more will come."""
        reports = (r.reason for r in self._open.values())
        return Reason.KERNEL_PANIC in {*reports, *(f.reason for f in self._closed)}

    def _line(self, line: ConsoleLine) -> None:
        if line.stamped and line.text == self._last_text:
            return  # one record on two consoles (boot console and serial, say)
        self._last_text = line.text
        self.tail.append(line.text)
        by_kernel = line.stamped or not self._stamped or self._stamps_end
        self._stamped = self._stamped or line.stamped
        self._stamps_end = self._stamps_end or bool(_UNSTAMPED.match(line.message))
        found = match(line.message)
        if found and (by_kernel or found[0].early) and self._plausible(found[0], line):
            self._report(line, *found)
        elif by_kernel:
            self._continue(line)
            self._suspect(line)

    def _suspect(self, line: ConsoleLine) -> None:
        """Take a complaint of unknown shape that is not part of a report.

        Without a time stamp such words may come from a program.
        """
        self._explained = self._explained or bool(_EXPLAINED.match(line.message))
        if not line.stamped or self._owner(line) in self._open:
            return
        found = match_last_resort(line.message)
        if found and not (self._explained and line.message.startswith("Call Trace")):
            self._report(line, *found)

    def _plausible(self, shape: Shape, line: ConsoleLine) -> bool:
        """Without a time stamp, a lockdep headline must follow the rule that the kernel prints."""
        if not shape.ruled or line.stamped:
            return True
        return any(_RULE.match(past.message) for past in tuple(self._recent)[-4:])

    def _report(self, line: ConsoleLine, shape: Shape, groups: dict[str, str]) -> None:
        current = self._open.get(line.caller)
        if current and shape.kind in current.shape.absorbs:
            current.absorb(line, shape, groups)
            return
        self._close(line.caller)
        self._open[line.caller] = _Report(shape, groups, self._lead(line, shape), line)
        self._recent.clear()
        if shape.end is End.LINE:
            self._close(line.caller)

    def _lead(self, line: ConsoleLine, shape: Shape) -> list[ConsoleLine]:
        """The lines of the report before its headline, from "cut here" or the rule on."""
        past = [p for p in self._recent if p.caller == line.caller]
        for index in range(len(past) - 1, -1, -1):
            message = past[index].message
            if message == _CUT_HERE or (
                (shape.ruled or shape.end is End.RULE) and _RULE.match(message)
            ):
                return past[index:]
        return []

    def _continue(self, line: ConsoleLine) -> None:
        caller = self._owner(line)
        report = self._open.get(caller)
        if report is None:
            self._recent.append(line)
            return
        starts_another = line.message == _CUT_HERE and Kind.WARNING not in report.shape.absorbs
        if starts_another or report.is_past(line):
            self._close(caller)
            self._recent.append(line)
        elif report.take(line):
            self._close(caller)

    def _owner(self, line: ConsoleLine) -> str:
        """The report to which a line belongs: its caller's, or one that spans all CPUs."""
        if line.caller in self._open:
            return line.caller
        spanning = (c for c, r in reversed(self._open.items()) if r.shape.all_callers)
        return next(spanning, line.caller)

    def _close(self, caller: str) -> None:
        report = self._open.pop(caller, None)
        if report is None:
            return
        finding = report.finding()
        if self._kept[finding.reason] < MAX_FINDINGS and self._alike[finding.signature] < MAX_ALIKE:
            self._closed.append(finding)
            self._kept[finding.reason] += 1
            self._alike[finding.signature] += 1


class _Report:
    """A report being collected."""

    __slots__ = ("_groups", "_lines", "_traced", "reason", "shape")

    def __init__(
        self, shape: Shape, groups: dict[str, str], lead: list[ConsoleLine], line: ConsoleLine
    ) -> None:
        self.shape = shape
        self.reason = shape.reason
        self._groups = groups
        self._lines = [*lead, line]
        self._traced = False

    def absorb(self, line: ConsoleLine, shape: Shape, groups: dict[str, str]) -> None:
        """Take a further headline of the same event (``BUG: ...`` is followed by ``Oops: ...``)."""
        self.reason = max(self.reason, shape.reason, key=_SEVERITY.index)
        self._groups = {**groups, **self._groups}
        self.take(line)

    def is_past(self, line: ConsoleLine) -> bool:
        """Whether the report ended before this line, if it has no end mark."""
        return (
            self.shape.end is End.AFTER_TRACE
            and self._traced
            and not _TRACE_LINE.match(line.message)
        )

    def take(self, line: ConsoleLine) -> bool:
        """Add a line; return whether it was the last one."""
        self._lines.append(line)
        self._traced = self._traced or line.message.startswith("Call Trace:")
        if len(self._lines) >= MAX_REPORT_LINES:
            return True
        mark = self.shape.end.value
        return bool(mark and re.match(mark, line.message))

    def finding(self) -> Finding:
        messages = [line.message for line in self._lines]
        title = title_of(self.shape, self._groups, messages)
        return Finding(
            kind=self.shape.kind,
            reason=self.reason,
            title=title,
            lines=tuple(line.text for line in self._lines),
            first_line=self._lines[0].number,
            last_line=self._lines[-1].number,
            signature=normalise(title),
            trace=call_trace(messages),
        )


def parse_console(data: bytes | str | Iterable[bytes]) -> tuple[Finding, ...]:
    """All findings of a whole console log."""
    parser = ConsoleParser()
    if isinstance(data, str):
        data = data.encode()
    for chunk in [data] if isinstance(data, bytes) else data:
        parser.feed(chunk)
    return parser.finish()

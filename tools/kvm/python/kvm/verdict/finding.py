# SPDX-License-Identifier: GPL-2.0-only
"""One complaint of a kernel, named as a developer would name it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kvm.verdict.shapes import Kind, Shape
from kvm.verdict.vocabulary import Reason

MAX_TRACE = 32

_FRAME = re.compile(
    r" +(?P<guess>\? )?(?:\[<[0-9a-f]+>\] )?(?P<func>[A-Za-z_][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+"
)
_RIP = re.compile(r"RIP: 00[0-9a-f]{2}:(?P<func>[A-Za-z_][\w.$]*)\+0x[0-9a-f]+")
_LOCK = re.compile(r"\((?P<name>[^()]*(?:\([^()]*\)[^()]*)?)\)\{[^{}]*\}(?:-\{[^{}]*\})?, at: ")
_RCU_USE = re.compile(r"(?P<file>[\w./-]+\.[chS]):(?P<line>\d+) .+!$")
_CODE_END = re.compile(r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?(?: \[[\w-]+\])?")
# Functions through which every report or sleep passes: they do not show where it happened.
_PLUMBING = re.compile(
    r"(?:dump_stack|show_|print_|panic|__warn|report_bug|handle_bug|exc_|asm_exc|die|oops_"
    r"|page_fault_oops|no_context|do_user_addr_fault|lockdep_|check_|mark_lock|__lock_acquire"
    r"|lock_acquire|validate_chain|kasan_|__kasan|__asan|kcsan_|__tsan|ubsan_|__ubsan"
    r"|__schedule|schedule|io_schedule|__might_|___might_|debug_smp_|bad_page|slab_"
    r"|object_err|spin_bug|do_raw_spin_|_raw_spin_|__mutex_lock|mutex_lock|down_|rwsem_"
    r"|wait_for_comp|__wait_|do_wait_|nmi_|arch_trigger_|watchdog|rcu_(?:dump|sched_clock|check)"
    r"|update_process_times|tick_|__hrtimer|hrtimer_|__sysvec|sysvec|asm_sysvec|trigger_)"
)
_NOISE = (
    (re.compile(r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?"), ""),
    (re.compile(r"\.(?:constprop|isra|part|cold|llvm)(?:\.\d+)*"), ""),
    (re.compile(r"\b0x[0-9a-f]+\b"), "ADDR"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,16}\b"), "ADDR"),
    (re.compile(r"(\.(?:[chS]|rs)):\d+(?::\d+)?"), r"\1"),
    (re.compile(r"\b(cpu)(?: ?#?)\d+\b", re.IGNORECASE), r"\1"),
    (re.compile(r"(?<=[/:(\[ ])\d+\b"), "N"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A report found on a console.

    ``lines`` are the report's own (with printk prefixes, for the time stamps); ``trace`` is its
    call trace, innermost function first, without guesses. ``title`` is its name for people;
    ``signature`` is for comparison across runs and commits.
    """

    kind: Kind
    reason: Reason
    title: str
    lines: tuple[str, ...]
    first_line: int
    last_line: int
    signature: str
    trace: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "reason": self.reason.value,
            "title": self.title,
            "signature": self.signature,
            "first_line": self.first_line,
            "last_line": self.last_line,
            "trace": list(self.trace),
            "lines": list(self.lines),
        }


def normalise(text: str) -> str:
    """Remove what differs between two runs of the same failure."""
    for pattern, replacement in _NOISE:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def call_trace(messages: Iterable[str]) -> tuple[str, ...]:
    """The reliable functions after the first "Call Trace:"."""
    functions: list[str] = []
    inside = False
    for message in messages:
        inside = inside or message.startswith("Call Trace:")
        frame = _FRAME.match(message) if inside else None
        if frame and not frame["guess"]:
            functions.append(frame["func"])
            if len(functions) == MAX_TRACE:
                break
    return tuple(functions)


def title_of(shape: Shape, groups: Mapping[str, str], messages: list[str]) -> str:
    """Fill the shape's title from its groups and the report's other lines."""
    words = {key: _CODE_END.sub("", value) for key, value in groups.items()}
    if "func" in words:
        words["where"] = f" in {words['func']}"
    else:
        place = _where(messages)
        words["where"] = f" in {place}" if place and place not in words.get("what", "") else ""
    words["place"] = f"{words['file']}:{words['line']} " if "file" in words else ""
    words["locks"] = _locks(messages) if shape.kind is Kind.LOCKDEP else ""
    return shape.title.format_map(words)


def _where(messages: list[str]) -> str:
    for message in messages:
        found = _RIP.match(message)
        if found:
            return found["func"]
    trace = call_trace(messages)
    return next((name for name in trace if not _PLUMBING.match(name)), "")


def _locks(messages: list[str]) -> str:
    """The two locks of a lockdep report, or the file and line of an RCU one."""
    names: list[str] = []
    for message in messages:
        rcu = _RCU_USE.match(message)
        if rcu:
            return f" at {rcu['file']}:{rcu['line']}"
        lock = _LOCK.search(message)
        if lock and lock["name"] not in names:
            names.append(lock["name"])
        if len(names) == 2:
            break
    return f" ({', '.join(names)})" if names else ""

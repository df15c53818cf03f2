# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's wording of its complaints: one table, the first match wins.

Each shape is the format string of one kernel report, anchored at the start of the message, so
that a program printing "WARNING: foo" matches nothing. A file named in a comment is where the
kernel prints it (as of 6.12).
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum

from kvm.verdict.vocabulary import Reason


class Kind(Enum):
    PANIC = "panic"
    EARLY_EXCEPTION = "early-exception"
    PAGE_FAULT = "page-fault"
    STACK_GUARD = "stack-guard"
    DOUBLE_FAULT = "double-fault"
    BUG = "bug"
    OOPS = "oops"
    WARNING = "warning"
    LOCKDEP = "lockdep"
    RCU_STALL = "rcu-stall"
    HUNG_TASK = "hung-task"
    SOFT_LOCKUP = "soft-lockup"
    HARD_LOCKUP = "hard-lockup"
    WORKQUEUE_LOCKUP = "workqueue-lockup"
    KASAN = "kasan"
    KFENCE = "kfence"
    KMSAN = "kmsan"
    KCSAN = "kcsan"
    UBSAN = "ubsan"
    KMEMLEAK = "kmemleak"
    LIST_CORRUPTION = "list-corruption"
    REFCOUNT = "refcount"
    SLAB = "slab"
    BAD_PAGE = "bad-page"
    SPINLOCK = "spinlock"
    ATOMIC_SLEEP = "atomic-sleep"
    MSR_ACCESS = "msr-access"
    INIT_KILLED = "init-killed"
    INTERRUPT = "interrupt"
    VIRTQUEUE = "virtqueue"
    WORKQUEUE_LEAK = "workqueue-leak"
    ALLOCATION = "allocation"
    UNKNOWN = "unknown"


class End(Enum):
    """The mark that ends a report (apart from the next report and the line limit)."""

    TRACE_MARK = r"---\[ end trace "
    PANIC_MARK = r"---\[ end Kernel panic "
    RULE = r"={10,}$"
    AFTER_TRACE = ""  # no mark: it ends with the call trace and the lines that belong to it
    LINE = "^"  # it has only one line


@dataclass(frozen=True, slots=True)
class Shape:
    """One report. ``text`` is the pattern; ``title`` is filled from its groups and ``{where}``.

    ``absorbs`` names the reports that are later lines of this one. ``early`` marks text that the
    kernel prints without printk, hence without a time stamp.
    """

    kind: Kind
    reason: Reason
    text: str
    title: str
    end: End = End.AFTER_TRACE
    _: KW_ONLY
    absorbs: frozenset[Kind] = field(default=frozenset())
    early: bool = False
    ruled: bool = False  # it comes after a line of "===="
    all_callers: bool = False  # it includes other CPUs' backtraces
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(self.text))


_OOPS_TOO = frozenset({Kind.OOPS})
_TRAPS_TOO = frozenset({Kind.OOPS, Kind.WARNING, Kind.BUG})
_LOCKDEP_WORDS = (
    r"possible circular locking dependency detected"
    r"|inconsistent lock state"
    r"|possible recursive locking detected"
    r"|suspicious RCU usage"
    r"|held lock freed!"
    r"|bad unlock balance detected!"
    r"|bad contention detected!"
    r"|possible irq lock inversion dependency detected"
    r"|lock held when returning to user space!"
    r"|Nested lock was not taken"
    r"|chain_key collision"
    r"|\S+-safe -> \S+-unsafe lock order detected"
    r"|\S+/\d+ still has locks held!"
)


SHAPES: tuple[Shape, ...] = (
    # kernel/panic.c. All further output of a dying kernel is part of its panic.
    Shape(
        Kind.PANIC,
        Reason.KERNEL_PANIC,
        r"Kernel panic - not syncing: ?(?P<what>.*)",
        "Kernel panic: {what}",
        End.PANIC_MARK,
        absorbs=frozenset(Kind),
        all_callers=True,
    ),
    # arch/x86/mm/extable.c early_fixup_exception(), then arch/x86/boot/compressed/error.c
    Shape(
        Kind.EARLY_EXCEPTION,
        Reason.KERNEL_PANIC,
        r"PANIC: early exception (?P<what>0x[0-9a-f]+) IP [0-9a-f]+:(?P<ip>[0-9a-f]+) error ",
        "early exception {what}{where}",
        early=True,
    ),
    Shape(
        Kind.EARLY_EXCEPTION,
        Reason.KERNEL_PANIC,
        r" -- System halted$",
        "the decompressor halted",
        End.LINE,
        early=True,
    ),
    # arch/x86/mm/fault.c show_fault_oops(), and its wording up to 5.0
    Shape(
        Kind.PAGE_FAULT,
        Reason.KERNEL_OOPS,
        r"BUG: (?P<what>kernel NULL pointer dereference), address: [0-9a-f]+",
        "{what}{where}",
        End.TRACE_MARK,
        absorbs=_OOPS_TOO,
    ),
    Shape(
        Kind.PAGE_FAULT,
        Reason.KERNEL_OOPS,
        r"BUG: (?P<what>unable to handle (?:page fault for address"
        r"|kernel (?:NULL pointer dereference|paging request) at)):? [0-9a-fx]+",
        "{what}{where}",
        End.TRACE_MARK,
        absorbs=_OOPS_TOO,
    ),
    # arch/x86/kernel/traps.c
    Shape(
        Kind.STACK_GUARD,
        Reason.KERNEL_OOPS,
        r"BUG: (?P<what>\S+ stack guard page was hit) at [0-9a-fx]+",
        "{what}{where}",
        End.TRACE_MARK,
        absorbs=_OOPS_TOO,
    ),
    Shape(
        Kind.DOUBLE_FAULT,
        Reason.KERNEL_OOPS,
        r"(?:traps: )?PANIC: double fault, error_code: 0x[0-9a-f]+",
        "double fault{where}",
        End.TRACE_MARK,
        absorbs=_OOPS_TOO,
    ),
    # lib/bug.c report_bug()
    Shape(
        Kind.BUG,
        Reason.KERNEL_OOPS,
        r"kernel BUG at (?P<file>\S+?):(?P<line>\d+)!$",
        "kernel BUG at {file}:{line}{where}",
        End.TRACE_MARK,
        absorbs=_OOPS_TOO,
    ),
    Shape(
        Kind.BUG,
        Reason.KERNEL_OOPS,
        r"Kernel BUG at (?P<func>\S+) \[verbose debug info unavailable\]",
        "kernel BUG at {func}",
        End.TRACE_MARK,
        absorbs=_OOPS_TOO,
    ),
    # arch/x86/kernel/dumpstack.c __die_header(): general protection fault, invalid opcode,
    # divide error, stack segment, int3, bounds, Bad pagetable: all end in "CODE [#N]".
    Shape(
        Kind.OOPS,
        Reason.KERNEL_OOPS,
        r"(?:Oops: |traps: )?(?P<what>[A-Za-z#][\w ,.'#/-]*?)(?: 0x[0-9a-f]+)?"
        r": [0-9a-f]{4,16} \[#\d+\]",
        "{what}{where}",
        End.TRACE_MARK,
    ),
    # kernel/panic.c __warn(); the second is its wording since 6.17.
    Shape(
        Kind.WARNING,
        Reason.KERNEL_WARNING,
        r"WARNING: CPU: \d+ PID: \d+ at (?:(?P<file>[^\s:+]+):(?P<line>\d+) )?(?P<func>\S+)",
        "WARNING at {place}{func}",
        End.TRACE_MARK,
    ),
    Shape(
        Kind.WARNING,
        Reason.KERNEL_WARNING,
        r"WARNING: (?:(?P<file>[^\s:+]+):(?P<line>\d+) )?at (?P<func>\S+)(?: \[\w+\])?, CPU#\d+: ",
        "WARNING at {place}{func}",
        End.TRACE_MARK,
    ),
    # kernel/locking/lockdep.c
    Shape(
        Kind.LOCKDEP,
        Reason.KERNEL_WARNING,
        rf"WARNING: (?P<what>{_LOCKDEP_WORDS})$",
        "{what}{locks}{where}",
        ruled=True,
    ),
    Shape(
        Kind.LOCKDEP,
        Reason.KERNEL_WARNING,
        r"\[ BUG: (?P<what>Invalid wait context) \]$",
        "{what}{locks}{where}",
        ruled=True,
    ),
    # The validator gives up: it would not report later findings.
    Shape(
        Kind.LOCKDEP,
        Reason.KERNEL_WARNING,
        r"BUG: (?P<what>MAX_\w+ too low!)$",
        "lockdep gave up: {what}",
    ),
    Shape(
        Kind.LOCKDEP,
        Reason.KERNEL_WARNING,
        r"INFO: (?P<what>trying to register non-static key)\.$",
        "{what}{where}",
    ),
    # kernel/rcu/tree_stall.h, tree_exp.h
    Shape(
        Kind.RCU_STALL,
        Reason.HANG,
        r"(?:rcu: )?INFO: (?P<what>rcu_\w+ (?:self-detected stall on CPU"
        r"|detected (?:expedited )?stalls?\b(?: on (?:CPUs/)?tasks)?))",
        "{what}{where}",
        absorbs=frozenset({Kind.RCU_STALL}),
        all_callers=True,
    ),
    # kernel/hung_task.c
    Shape(
        Kind.HUNG_TASK,
        Reason.HANG,
        r"INFO: task (?P<what>.+):\d+ blocked (?:in I/O wait )?for more than \d+ seconds\.",
        "task {what} blocked{where}",
    ),
    # kernel/watchdog.c, kernel/workqueue.c
    Shape(
        Kind.SOFT_LOCKUP,
        Reason.HANG,
        r"(?:watchdog: )?BUG: soft lockup - CPU#\d+ stuck for \d+s! \[(?P<what>.*):\d+\]",
        "soft lockup of {what}{where}",
    ),
    Shape(
        Kind.HARD_LOCKUP,
        Reason.HANG,
        r"(?:(?:NMI )?watchdog: )?(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu \d+",
        "hard LOCKUP{where}",
        all_callers=True,
    ),
    Shape(
        Kind.WORKQUEUE_LOCKUP,
        Reason.HANG,
        r"BUG: workqueue lockup - pool",
        "workqueue lockup",
    ),
    # mm/kasan/report.c and similar: a report between two lines of "===="
    *(
        Shape(kind, reason, rf"BUG: {name}: (?P<what>.+)$", f"{name}: {{what}}", End.RULE)
        for kind, reason, name in (
            (Kind.KASAN, Reason.KERNEL_OOPS, "KASAN"),
            (Kind.KFENCE, Reason.KERNEL_OOPS, "KFENCE"),
            (Kind.KMSAN, Reason.KERNEL_OOPS, "KMSAN"),
            (Kind.KCSAN, Reason.KERNEL_WARNING, "KCSAN"),
        )
    ),
    # lib/ubsan.c ubsan_prologue()
    Shape(
        Kind.UBSAN,
        Reason.KERNEL_WARNING,
        r"UBSAN: (?P<what>[\w -]+) in (?P<file>\S+?):(?P<line>\d+):\d+$",
        "UBSAN: {what} in {file}:{line}{where}",
        End.TRACE_MARK,
    ),
    Shape(
        Kind.KMEMLEAK,
        Reason.KERNEL_WARNING,
        r"kmemleak: \d+ (?P<what>new suspected memory leaks) \(see ",
        "kmemleak: {what}",
        End.LINE,
    ),
    # lib/list_debug.c and lib/refcount.c: a message before a BUG or a WARNING
    Shape(
        Kind.LIST_CORRUPTION,
        Reason.KERNEL_WARNING,
        r"(?P<what>list_(?:add|del) corruption|list_add double add)[.,:] ?",
        "{what}{where}",
        End.TRACE_MARK,
        absorbs=_TRAPS_TOO,
    ),
    Shape(
        Kind.REFCOUNT,
        Reason.KERNEL_WARNING,
        r"refcount_t: (?P<what>(?:saturated|addition|underflow|decrement|unknown)\b.*[^.])\.?$",
        "refcount_t: {what}{where}",
        End.TRACE_MARK,
        absorbs=_TRAPS_TOO,
    ),
    # mm/slub.c, mm/page_alloc.c, mm/memory.c, kernel/fork.c
    Shape(
        Kind.SLAB,
        Reason.KERNEL_OOPS,
        r"BUG (?P<cache>\S+) \((?:Not tainted|Tainted).*\): (?P<what>.+)$",
        "slab {cache}: {what}{where}",
    ),
    Shape(
        Kind.BAD_PAGE,
        Reason.KERNEL_OOPS,
        r"BUG: (?P<what>Bad page (?:state|map|cache) in process|Bad rss-counter state"
        r"|non-zero pgtables_bytes on freeing mm)\b",
        "{what}{where}",
    ),
    # kernel/locking/spinlock_debug.c, kernel/sched/core.c, lib/smp_processor_id.c
    Shape(
        Kind.SPINLOCK,
        Reason.KERNEL_OOPS,
        r"BUG: spinlock (?P<what>.+) on CPU#\d+, ",
        "spinlock {what}{where}",
    ),
    Shape(
        Kind.ATOMIC_SLEEP,
        Reason.KERNEL_WARNING,
        r"BUG: (?P<what>sleeping function called from invalid context) at "
        r"(?P<file>\S+):(?P<line>\d+)",
        "{what} at {file}:{line}{where}",
    ),
    Shape(
        Kind.ATOMIC_SLEEP,
        Reason.KERNEL_WARNING,
        r"BUG: (?P<what>scheduling while atomic): ",
        "{what}{where}",
    ),
    Shape(
        Kind.ATOMIC_SLEEP,
        Reason.KERNEL_WARNING,
        r"BUG: (?P<what>using \w+\(\) in preemptible) \[",
        "{what}{where}",
    ),
    # arch/x86/mm/extable.c ex_handler_msr()
    Shape(
        Kind.MSR_ACCESS,
        Reason.KERNEL_WARNING,
        r"unchecked MSR access error: (?P<what>RDMSR from 0x[0-9a-f]+|WRMSR to 0x[0-9a-f]+)"
        r".* at rIP: 0x[0-9a-f]+ \((?P<func>\S+?)\)",
        "unchecked MSR access: {what} in {func}",
    ),
    # kernel/irq/spurious.c __report_bad_irq(), arch/x86/kernel/irq.c common_interrupt(): how the
    # guest sees a VMM or KVM that loses, invents or misroutes interrupts.
    Shape(
        Kind.INTERRUPT,
        Reason.KERNEL_WARNING,
        r"irq (?P<what>\d+: nobody cared) \(try booting with",
        "irq {what}",
    ),
    Shape(
        Kind.INTERRUPT,
        Reason.KERNEL_WARNING,
        r"(?:\w+: )?(?:\d+\.\d+ )?(?P<what>No irq handler for )(?:vector|\d+\.\d+)",
        "{what}a vector",
        End.LINE,
    ),
    # drivers/virtio/virtio_ring.c BAD_RING(): the device broke the ring.
    Shape(
        Kind.VIRTQUEUE,
        Reason.KERNEL_WARNING,
        r"(?P<driver>virtio\w+) virtio\d+: (?P<queue>[^ :]+):id \d+ "
        r"(?P<what>is not a head!|out of range)$",
        "{driver}, queue {queue}: used id {what}",
        End.LINE,
    ),
    # kernel/workqueue.c process_one_work(), and its wording up to 6.8
    Shape(
        Kind.WORKQUEUE_LEAK,
        Reason.KERNEL_WARNING,
        r"BUG: (?P<what>workqueue leaked (?:atomic, lock or RCU|lock or atomic)): ",
        "{what}{where}",
    ),
    # mm/page_alloc.c warn_alloc()
    Shape(
        Kind.ALLOCATION,
        Reason.KERNEL_WARNING,
        r"\S+: (?P<what>(?:page|vmalloc) (?:allocation failure|error)): ",
        "{what}{where}",
    ),
    # mm/oom_kill.c
    Shape(
        Kind.INIT_KILLED,
        Reason.KERNEL_PANIC,
        r"(?:Memory cgroup o|O)ut of memory.*: Killed process 1 \(",
        "init was killed: out of memory",
        End.LINE,
    ),
)

# Complaints with none of the shapes above. Their wording is unknown, so they fail a run rather
# than pass it.
_LAST_RESORT: tuple[Shape, ...] = (
    Shape(
        Kind.UNKNOWN,
        Reason.KERNEL_WARNING,
        r"(?P<what>BUG: .*\S|(?:rcu: )?INFO: rcu\w* .*\S)",
        "{what}",
    ),
    Shape(
        Kind.UNKNOWN,
        Reason.KERNEL_WARNING,
        r"(?P<what>Call Trace):$",
        "a call trace of no known report{where}",
    ),
)

# One cheap check excludes nearly every line of a healthy boot.
_HINT = re.compile(
    r"BUG|WARNING: |\[#\d|not syncing|PANIC: |INFO: |LOCKUP|UBSAN: |kmemleak: |list_|refcount_t: "
    r"|Killed process 1 |MSR access| -- System|nobody cared|No irq handler|:id \d+ "
    r"|(?:allocation failure|vmalloc error)|Call Trace:"
)


def match(message: str) -> tuple[Shape, dict[str, str]] | None:
    """The shape that starts at this message, with its groups."""
    if not _HINT.search(message):
        return None
    for shape in SHAPES:
        found = shape.pattern.match(message)
        if found:
            return shape, {k: v for k, v in found.groupdict().items() if v is not None}
    return None


def match_last_resort(message: str) -> tuple[Shape, dict[str, str]] | None:
    """The last-resort shape of a complaint that is in no report and has no known shape."""
    if not _HINT.search(message):
        return None
    found = ((shape, shape.pattern.match(message)) for shape in _LAST_RESORT)
    return next(((shape, match.groupdict()) for shape, match in found if match), None)

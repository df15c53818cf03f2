# SPDX-License-Identifier: GPL-2.0-only
"""Turns the facts of a run into readable lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kvm.verdict.finding import Finding
from kvm.verdict.logbuf import printk_text
from kvm.verdict.observation import Observation
from kvm.verdict.vocabulary import Evidence

_REPORT_LINES = 48
_TAIL_LINES = 20
_LAST_EXITS = 16
_REGISTER_ROWS = (
    ("rip", "rsp", "rflags"),
    ("rax", "rbx", "rcx"),
    ("rdx", "rsi", "rdi"),
    ("rbp", "r8", "r9"),
    ("r10", "r11", "r12"),
    ("r13", "r14", "r15"),
    ("cr0", "cr2", "cr3"),
    ("cr4", "efer", "cs"),
)


def report(finding: Finding, *, source: str = "console") -> Evidence:
    """The lines of one report; the middle of a long one is left out."""
    lines = finding.lines
    if len(lines) > _REPORT_LINES:
        head, foot = lines[: _REPORT_LINES - 9], lines[-8:]
        lines = (*head, f"... {len(lines) - len(head) - len(foot)} lines ...", *foot)
    return Evidence(source, lines)


def also(findings: Iterable[Finding], *, source: str = "console") -> tuple[Evidence, ...]:
    """The titles of further reports."""
    lines = tuple(f"line {f.first_line}: {f.title}" for f in findings)
    return (Evidence(f"also on the {source}", lines),) if lines else ()


def tail(obs: Observation) -> tuple[Evidence, ...]:
    """The end of the console, or of the printk buffer if the console stayed empty."""
    lines = tuple(line for line in obs.console_tail if line.strip())
    if lines:
        return (Evidence("console tail", lines[-_TAIL_LINES:]),)
    text = printk_text(obs.log_buf).splitlines() if obs.log_buf else []
    return (Evidence("printk buffer tail", tuple(text[-_TAIL_LINES:])),) if text else ()


def machine(obs: Observation) -> tuple[Evidence, ...]:
    """The positions of the vCPUs and the last exits that the VMM handled."""
    items: list[Evidence] = []
    if obs.stop:
        items.append(Evidence("stop", (f"{obs.stop}: {obs.stop_detail}".rstrip(": "),)))
    if obs.registers:
        rows = [row for regs in obs.registers for row in _registers(obs, regs)]
        items.append(Evidence("registers", tuple(rows)))
    if obs.last_exits:
        items.append(Evidence("last exits", tuple(obs.last_exits[-_LAST_EXITS:])))
    if obs.last_events:
        items.append(Evidence("guest events", obs.last_events))
    return tuple(items)


def worker(obs: Observation) -> tuple[Evidence, ...]:
    lines = tuple(line for line in obs.worker_stderr if line.strip())
    return (Evidence("VMM stderr", lines[-_TAIL_LINES:]),) if lines else ()


def where(obs: Observation) -> str:
    """`` at func+0x1/0x2`` of the first vCPU; "" if its registers are unknown."""
    if not obs.registers or "rip" not in obs.registers[0]:
        return ""
    return f" at {_symbol(obs, obs.registers[0]['rip'])}"


def function(obs: Observation) -> str:
    """The first vCPU's function alone, for signatures; "" if unknown."""
    if obs.symbols is None or not obs.registers:
        return ""
    found = obs.symbols.lookup(obs.registers[0].get("rip", 0))
    return found.name if found else ""


def _symbol(obs: Observation, address: int) -> str:
    return obs.symbols.symbolize(address) if obs.symbols else f"{address:#x}"


def _registers(obs: Observation, regs: Mapping[str, int]) -> list[str]:
    name = f"vcpu{regs.get('vcpu', 0)}"
    rows = [f"{name} rip is {_symbol(obs, regs['rip'])}"] if "rip" in regs else [name]
    for row in _REGISTER_ROWS:
        cells = [f"{key:>6} {regs[key]:016x}" for key in row if key in regs]
        if cells:
            rows.append(" ".join(cells))
    return rows

# SPDX-License-Identifier: GPL-2.0-only
"""Translates QEMU's words in ``qemu_params`` into our terms for a payload's machine. Pure.

A word without an equivalent in this VMM is no mistake in the file: ``Untranslatable`` names
it, and the test is skipped.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kvm.errors import UserError
from kvm.run.payload.suite.arithmetic import value_of
from kvm.spec.machine import MAX_VCPUS, parse_memory


class Untranslatable(Exception):
    """There is no equivalent here; the text names the parameter."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the words ask for; None and "" where they say nothing."""

    cpu: str = ""
    cpus: int | None = None
    memory_mib: int | None = None
    append: str = ""
    module: str = ""
    split_irqchip: bool = False


# Words that change nothing: the machine has these, or lacks what they would remove.
_GRANTED = ("nodefaults", "no-reboot", "no-shutdown", "no-user-config", "nographic", "enable-kvm")
_GRANTED_PAIRS = {
    "display": ("none",),
    "serial": ("stdio", "mon:stdio"),
    "vga": ("none",),
    "nic": ("none",),
    "net": ("none",),
    "parallel": ("none",),
    "monitor": ("none",),
    "accel": ("kvm",),
}
_GRANTED_DEVICES = ("pc-testdev", "isa-debug-exit,iobase=0xf4,iosize=0x4", "pvpanic")
_GRANTED_MACHINES = ("pc", "accel=kvm")
# QEMU's models that stand for the whole host, and its baseline, with our names.
_CPU_MODELS = {
    "host": "host",
    "max": "host",
    "qemu64": "minimal,+pni?",
    "kvm64": "minimal,+pni?",
}
# Settings that are always so here.
_CPU_GRANTED = ("host-phys-bits", "host-phys-bits=on", "migratable=no", "migratable=off")
# QEMU's names that differ from /proc/cpuinfo's in more than dashes.
_CPU_NAMES = {"tsc_deadline": "tsc_deadline_timer", "sse3": "pni"}
_FEATURE = re.compile(r"(?P<sign>[+-]?)(?P<name>[A-Za-z0-9][\w.-]*)(?P<value>=(?:on|off))?")
_NOW = re.compile(r"`\s*date \+%s\s*`|\$\(\s*date \+%s\s*\)")
_SHELL = re.compile(r"`[^`]*`?|\$\([^(][^)]*\)?")


def split(text: str, variables: Mapping[str, int]) -> tuple[str, ...]:
    """Split as a shell would: quotes, variables, and ``date +%s`` for the time.

    Raises ``Untranslatable`` for any other command, and ``ValueError`` for an unclosed quote.
    """
    text = _NOW.sub(lambda _: str(int(time.time())), text)
    for name, value in variables.items():
        text = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", str(value), text)
    text = re.sub(r"\$\(\(.*?\)\)", lambda found: str(value_of(found[0], dict(variables))), text)
    if command := _SHELL.search(text):
        raise Untranslatable(f"the output of {command[0]} (of commands only `date +%s` is known)")
    return tuple(shlex.split(text))


def translate(words: Sequence[str]) -> Wanted:
    """What the words ask for. Raises ``Untranslatable``."""
    wanted = Wanted()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name = word.lstrip("-") if word.startswith("-") else ""
        if name in _GRANTED:
            continue
        if name not in _PAIRS:
            raise Untranslatable(
                word if not rest or rest[0].startswith("-") else f"{word} {rest[0]}"
            )
        if not rest:
            raise Untranslatable(f"{word}, which has no value")
        value = rest.pop(0)
        try:
            wanted = _PAIRS[name](wanted, value)
        except (ValueError, UserError) as wrong:
            raise Untranslatable(f"{word} {value}") from wrong
    return wanted


def _granted(allowed: Sequence[str]) -> Callable[[Wanted, str], Wanted]:
    def check(wanted: Wanted, value: str) -> Wanted:
        if value not in allowed:
            raise ValueError(value)
        return wanted

    return check


def _cpu(wanted: Wanted, value: str) -> Wanted:
    """Parse ``-cpu``. As in QEMU, a feature that KVM does not offer is simply missing."""
    model, *features = value.split(",")
    if model not in _CPU_MODELS:
        raise ValueError(model)
    return replace(wanted, cpu=",".join((_CPU_MODELS[model], *_features(features))))


def _features(words: Sequence[str]) -> list[str]:
    found = []
    for word in words:
        if word in _CPU_GRANTED:
            continue
        matched = _FEATURE.fullmatch(word)
        if matched is None or not (matched["sign"] or matched["value"]):
            raise ValueError(word)
        name = matched["name"].replace("-", "_").replace(".", "_")
        is_on = matched["value"] == "=on" if matched["value"] else matched["sign"] == "+"
        if name in ("phys_bits", "host_phys_bits", "vendor") or name.startswith(("hv_", "kvm_")):
            raise ValueError(word)
        found.append(f"{'+' if is_on else '-'}{_CPU_NAMES.get(name, name)}?")
    return found


def _smp(wanted: Wanted, value: str) -> Wanted:
    """Parse ``4`` or ``cpus=4``; our machines have no topology."""
    cpus = int(value.removeprefix("cpus="))
    if not 1 <= cpus <= MAX_VCPUS:
        raise ValueError(value)
    return replace(wanted, cpus=cpus)


def _memory(wanted: Wanted, value: str) -> Wanted:
    return replace(wanted, memory_mib=parse_memory(value.removeprefix("size=")))


def _append(wanted: Wanted, value: str) -> Wanted:
    return replace(wanted, append=value)


def _module(wanted: Wanted, value: str) -> Wanted:
    return replace(wanted, module=value)


def _machine(wanted: Wanted, value: str) -> Wanted:
    for word in value.split(","):
        if word.replace("-", "_") == "kernel_irqchip=split":
            wanted = replace(wanted, split_irqchip=True)
        elif word not in _GRANTED_MACHINES:
            raise ValueError(word)
    return wanted


_PAIRS: dict[str, Callable[[Wanted, str], Wanted]] = {
    **{name: _granted(allowed) for name, allowed in _GRANTED_PAIRS.items()},
    "device": _granted(_GRANTED_DEVICES),
    "cpu": _cpu,
    "smp": _smp,
    "m": _memory,
    "append": _append,
    "initrd": _module,
    "machine": _machine,
    "M": _machine,
}

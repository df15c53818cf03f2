# SPDX-License-Identifier: GPL-2.0-only
"""Chooses from ``unittests.cfg`` the tests to run, and says why others are not run."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvm.errors import UserError
from kvm.host.lab_machine import LabSettings
from kvm.run.payload.options import DEFAULT_TIMEOUT_S, PayloadOptions
from kvm.run.payload.suite import cfg, qemu_words
from kvm.run.payload.suite.arithmetic import value_of
from kvm.run.payload.suite.cfg import Section
from kvm.run.payload.suite.qemu_words import Untranslatable, Wanted
from kvm.spec.machine import MAX_VCPUS
from kvm.verdict.vocabulary import Reason

ARCH = "x86_64"
# In the file "timeout = 0" means no limit; we always need one.
_NO_TIMEOUT_S = 3600.0
_NOT_BY_DEFAULT = "nodefault"
_PANIC = "panic"
_MIGRATION = "migration"
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smh]?)")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Selection:
    """``names`` are names or shell patterns; a test must be in one of ``groups``. None: all tests
    except those marked ``nodefault``."""

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: str, groups: str) -> Selection:
        """Parse the words of ``-k`` and ``-g``, separated by commas or blanks."""
        return cls(_words(names), _words(groups))


@dataclass(frozen=True, slots=True)
class Given:
    """The user's settings beside the cfg: ``options`` are for all tests, their file is the folder.

    ``max_cpus`` limits the vCPUs of a test (None: no limit), and ``timeout_s`` replaces the
    cfg's.
    """

    options: PayloadOptions
    max_cpus: int | None = None
    timeout_s: float | None = None

    def arguments(self) -> str:
        """The settings as ``./invoke payload`` arguments."""
        said = replace(self.options, vcpus=1, timeout_s=DEFAULT_TIMEOUT_S).arguments()
        cpus = "" if self.max_cpus is None else f" --cpus={self.max_cpus}"
        timeout = "" if self.timeout_s is None else f" --timeout={self.timeout_s:g}"
        return f"--suite {said}{cpus}{timeout}"


@dataclass(frozen=True, slots=True)
class SuiteTest:
    """One section as it is run here, or ``skip``, the reason why it is not.

    ``checks`` are files of the host, each with its required content. ``qemu`` are the cfg's words
    for QEMU; ``foreign``: only words without an equivalent here keep it from running.
    """

    name: str
    where: str
    options: PayloadOptions
    groups: tuple[str, ...] = ()
    checks: tuple[tuple[Path, str], ...] = ()
    skip: str = ""
    qemu: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``left_out`` are tests of other architectures; ``known`` has the names of all sections."""

    cfg: Path
    tests: tuple[SuiteTest, ...]
    left_out: tuple[str, ...] = ()
    known: frozenset[str] = field(default_factory=frozenset)

    @property
    def name(self) -> str:
        """The suite's name for reports: its folder, or the checkout around x86."""
        folder = self.cfg.parent
        return (folder.parent if folder.name == cfg.ARCH_FOLDER else folder).name or "suite"


def load(given: Given, selection: Selection) -> Plan:
    """Read the folder's cfg and choose tests. Raises ``UserError``."""
    path = cfg.find(given.options.file)
    sections = cfg.read(path)
    chosen = [section for section in sections if _is_chosen(section, selection)]
    _refuse_idle_words(sections, selection)
    ours = [s for s in chosen if s.get("arch") in ("", ARCH)]
    tests = tuple(_Maker(path.parent, given, selection).test(section) for section in ours)
    if tests and not any((path.parent / (s.get("file") or ".")).is_file() for s in sections):
        raise UserError(
            f"{tests[0].where}: {tests[0].options.file} does not exist, nor does any other payload",
            "build them (kvm-unit-tests: ./configure && make), or name another folder",
        )
    left_out = tuple(s.name for s in chosen if s not in ours)
    return Plan(path, tests, left_out, frozenset(section.name for section in sections))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _groups(section: Section) -> tuple[str, ...]:
    return tuple(section.get("groups").split())


def _names(section: Section, names: Sequence[str]) -> bool:
    return any(section.name == word or fnmatch.fnmatchcase(section.name, word) for word in names)


def _is_chosen(section: Section, selection: Selection) -> bool:
    if selection.names and not _names(section, selection.names):
        return False
    return not selection.groups or bool(set(selection.groups) & set(_groups(section)))


def _refuse_idle_words(sections: Sequence[Section], selection: Selection) -> None:
    """Refuse a name or group that chooses nothing: it is a mistake."""
    for word in selection.names:
        if not any(_names(section, (word,)) for section in sections):
            raise UserError(f"-k {word}: no test is called that", "see --list for the names")
    groups = sorted({group for section in sections for group in _groups(section)})
    for word in selection.groups:
        if word not in groups:
            raise UserError(f"-g {word}: there is no such group", f"use {', '.join(groups)}")
    if not any(_is_chosen(section, selection) for section in sections):
        raise UserError("no test has such a name and such a group", "leave out -k or -g")


@dataclass(frozen=True, slots=True)
class _Maker:
    folder: Path
    given: Given
    selection: Selection

    def test(self, section: Section) -> SuiteTest:
        """The test of a section. Mistakes in the cfg raise; what is impossible here is a skip."""
        if not section.get("file"):
            raise UserError(
                f"{section.where}: [{section.name}] has no file", "add file = NAME.flat"
            )
        groups = _groups(section)
        wanted, words, skips = self._wanted(section)
        options = replace(
            self.given.options,
            file=self.folder / section.get("file"),
            vcpus=wanted.cpus or self._smp(section),
            memory_mib=wanted.memory_mib or self.given.options.memory_mib,
            append=wanted.append,
            environment=self._module(wanted),
            cpu=wanted.cpu or self.given.options.cpu,
            split_irqchip=wanted.split_irqchip or self.given.options.split_irqchip,
            timeout_s=self._timeout_s(section),
            expected=Reason.KERNEL_PANIC if _PANIC in groups else None,
            again=f"{self.given.arguments()} -k {shlex.quote(section.name)}",
        )
        checks = tuple(self._checks(section))
        own = next(self._skips(section, groups, options), "")
        skip = own or next(iter(skips), "")
        foreign = bool(skips) and not own
        return SuiteTest(section.name, section.where, options, groups, checks, skip, words, foreign)

    def _wanted(self, section: Section) -> tuple[Wanted, tuple[str, ...], list[str]]:
        """What the section asks QEMU for, its words, and why that is not possible here."""
        wanted, words, skips = Wanted(), (), []  # type: tuple[Wanted, tuple[str, ...], list[str]]
        try:
            words = self._split(section, "qemu_params")
            wanted = qemu_words.translate(words)
        except Untranslatable as unknown:
            skips.append(f"this VMM has no word for {unknown} ({section.at('qemu_params')})")
        try:
            if args := self._split(section, "test_args"):
                wanted = replace(wanted, append=" ".join(args))
        except Untranslatable as unknown:
            skips.append(f"test_args needs {unknown} ({section.at('test_args')})")
        return wanted, words, skips

    def _split(self, section: Section, key: str) -> tuple[str, ...]:
        try:
            return qemu_words.split(section.get(key), self._variables)
        except ValueError as wrong:
            raise UserError(f"{section.at(key)}: {key}: {wrong}", "close its quotes") from wrong

    def _skips(
        self, section: Section, groups: Sequence[str], options: PayloadOptions
    ) -> Iterator[str]:
        """The reasons not to run it, the most telling one first."""
        selection = self.selection
        asked = bool(selection.groups) or section.name in selection.names
        if _NOT_BY_DEFAULT in groups and not asked:
            yield f"runs when asked for: -k {section.name}"
        if section.get("accel") not in ("", "kvm"):
            yield f"for accel={section.get('accel')} only"
        if section.get("machine") not in ("", "pc"):
            yield f"for machine={section.get('machine')} only"
        if section.get("disabled_if"):
            yield f"disabled_if = {section.get('disabled_if')} is a shell's to decide"
        if _MIGRATION in groups:
            yield "needs a machine that can migrate"
        limit = self.given.max_cpus
        if limit is not None and options.vcpus > limit:
            yield f"needs {options.vcpus} vCPUs, --cpus allows {limit}"
        if not options.file.is_file():
            yield f"{options.file} does not exist; build it ({section.at('file')})"
        if options.environment is not None and not options.environment.is_file():
            yield f"the module {options.environment} does not exist ({section.at('qemu_params')})"

    @property
    def _variables(self) -> dict[str, int]:
        here = os.cpu_count() or 1
        usual = here if self.given.options.host == "native" else min(here, LabSettings().cpus)
        return {"MAX_SMP": self.given.max_cpus or usual}

    def _smp(self, section: Section) -> int:
        text = section.get("smp") or "1"
        try:
            number = value_of(text, self._variables)
        except ValueError as wrong:
            raise UserError(
                f"{section.at('smp')}: smp = {text}: {wrong}", "write a number"
            ) from wrong
        if not 1 <= number <= MAX_VCPUS:
            raise UserError(
                f"{section.at('smp')}: smp = {text} is {number}", f"a machine has 1 to {MAX_VCPUS}"
            )
        return number

    def _timeout_s(self, section: Section) -> float:
        if self.given.timeout_s is not None:
            return self.given.timeout_s
        text = section.get("timeout")
        if not text:
            return DEFAULT_TIMEOUT_S
        matched = _DURATION.fullmatch(text)
        if matched is None:
            raise UserError(
                f"{section.at('timeout')}: timeout = {text} is no duration", "write 30, 30s or 2m"
            )
        return float(matched["number"]) * _UNITS_S[matched["unit"]] or _NO_TIMEOUT_S

    def _module(self, wanted: Wanted) -> Path | None:
        """kvm-unit-tests runs in the folder above its x86; a module beside the cfg counts too."""
        if not wanted.module:
            return None
        beside = self.folder / wanted.module
        return beside if beside.is_file() else self.folder.parent / wanted.module

    def _checks(self, section: Section) -> Iterator[tuple[Path, str]]:
        for word in section.get("check").split():
            path, equals, value = word.partition("=")
            if not equals or not path.startswith("/"):
                raise UserError(
                    f"{section.at('check')}: check = {word} names no file and value",
                    "write /PATH=VALUE",
                )
            yield Path(path), value

# SPDX-License-Identifier: GPL-2.0-only
"""The options of a payload's run, checked before anything is built."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.run.options import BootOptions
from kvm.spec import fields
from kvm.spec.fields import check_choices, like, option
from kvm.spec.files import require_file
from kvm.spec.machine import PROTOCOLS, check_vcpus
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import Reason

DEFAULT_TIMEOUT_S = 90.0  # as in kvm-unit-tests


@dataclass(frozen=True, slots=True)
class PayloadOptions:
    """One run. ``environment`` is the file that it gets as its module, ``expected`` the reason it
    is meant to end with if that is not a pass. ``again`` are the arguments that repeat it if its
    own are not enough, as for a test of a suite.
    """

    file: Path = option(
        short="f",
        positional=True,
        read=Path,
        help="the payload: a multiboot image such as kvm-unit-tests' x86/*.flat, or raw code; "
        "with --suite the folder of many",
    )
    vcpus: int = option(
        1,
        name="cpus",
        short="c",
        help="number of vCPUs; with --suite the most that a test may have ($MAX_SMP)",
    )
    memory_mib: int = like(
        BootOptions,
        "memory_mib",
        help="guest memory, such as 512M or 2G; with --suite that of tests without -m",
    )
    append: str = like(
        BootOptions, "append", help="words for the payload's command line (repeatable)"
    )
    environment: Path | None = option(
        None,
        name="initrd",
        short="i",
        read=Path,
        help="a file to load as its module, instead of an environment made from --cpus and "
        "--memory",
    )
    protocol: str = option(
        "auto",
        short="p",
        choices=PROTOCOLS,
        help="how it is entered: auto (by what the file is), multiboot, flat (raw code, in real "
        "mode), linux or pvh",
    )
    cpu: str = like(BootOptions, "cpu")
    split_irqchip: bool = like(BootOptions, "split_irqchip", short="t")
    host: str = like(BootOptions, "host")
    timeout_s: float = option(
        DEFAULT_TIMEOUT_S,
        name="timeout",
        help="seconds it may take; with --suite each test, instead of what the cfg says",
    )
    pinned_only: bool = like(BootOptions, "pinned_only", short="d")
    known_warnings: KnownWarnings | None = like(
        BootOptions,
        "known_warnings",
        short="n",
        help="a file of signatures, one per line, of WARNINGs of the lab host that do not fail "
        "the payload",
    )
    expected: Reason | None = None
    again: str = ""

    def check(self) -> PayloadOptions:
        """Raise ``UserError`` naming the first bad value; return self otherwise."""
        self.check_machine()
        if self.file.is_dir():
            raise UserError(f"payload {self.file} is a folder", "add --suite to run all in it")
        for path, role in ((self.file, "payload"), (self.environment, "module")):
            if path is not None:
                require_file(path, role, "give the path of a file")
        return self

    def check_machine(self) -> PayloadOptions:
        """Check all but the files, which a suite names for each test."""
        check_choices(self)
        check_vcpus(self.vcpus)
        if self.timeout_s <= 0:
            raise UserError(f"--timeout {self.timeout_s:g}", "give a number of seconds above 0")
        return self

    @property
    def repeat(self) -> str:
        """The arguments of ``./invoke payload`` that repeat it."""
        return self.again or self.arguments()

    def arguments(self) -> str:
        """The same options as ``./invoke payload`` arguments."""
        return shlex.join([str(self.file), *fields.words(self)])

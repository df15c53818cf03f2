# SPDX-License-Identifier: GPL-2.0-only
"""What a person may ask of a payload's run, checked before anything is built."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from kvm.errors import UserError
from kvm.run import again
from kvm.run.options import HELP as BOOT_HELP
from kvm.run.options import HOSTS
from kvm.verdict.known import KnownWarnings
from kvm.verdict.vocabulary import Reason
from kvm.vm.spec import MAX_VCPUS, PROTOCOLS

DEFAULT_TIMEOUT_S = 90.0  # kvm-unit-tests' own
UNSET = -1  # of --cpus and --timeout, which mean something else to a suite

HELP = {
    "file": "the payload: a multiboot image such as kvm-unit-tests' x86/*.flat, or raw code; with "
    "--suite the folder of many",
    "suite": "run all tests of the folder's unittests.cfg (kvm-unit-tests' format)",
    "k": "--suite: only tests of these names or shell patterns, with commas between",
    "g": "--suite: only tests of one of these groups",
    "list": "--suite: list the tests and why some are skipped; run nothing",
    "expected": "--suite: what is known not to pass, a file or a name in tests/matrix/expected; "
    "expected.toml beside unittests.cfg otherwise",
    "output": "--suite: write a report: FILE.xml (JUnit), .ktap or .json, or FORMAT:- for stdout "
    "(repeatable)",
    "cpus": "number of vCPUs; with --suite the most that a test may have ($MAX_SMP)",
    "memory": f"{BOOT_HELP['memory']}; with --suite that of tests without -m",
    "append": "words for the payload's command line (repeatable)",
    "initrd": "a file to give it as its module, instead of an environment made of --cpus and "
    "--memory",
    "protocol": "how it is entered: auto (by what the file is), multiboot, flat (raw code, in real "
    "mode), linux or pvh",
    "cpu": BOOT_HELP["cpu"],
    "split_irqchip": BOOT_HELP["split_irqchip"],
    "host": BOOT_HELP["host"],
    "timeout": "seconds it may take; with --suite each test, instead of what the cfg says",
    "json": BOOT_HELP["json"],
    "locked": BOOT_HELP["locked"],
    "known_warnings": "a file of signatures, one a line, of WARNINGs of the lab host's that do not "
    "fail the payload",
}


# Fields of PayloadOptions whose option is called otherwise; see ``again.words``.
_SPELLED = {
    "memory_mib": "memory={}M",
    "environment": "initrd",
    "timeout_s": "timeout",
    "pinned_only": "locked",
    "known_warnings": "known-warnings={0.path}",
}


@dataclass(frozen=True, slots=True)
class PayloadOptions:
    """One run. ``environment`` is the file it gets as its module, ``expected`` the reason it is
    meant to end with, if that is no pass; ``again`` are the arguments that repeat it where its
    own don't say all, as those of a suite's test.
    """

    file: Path
    cpus: int = 1
    memory_mib: int = 256
    append: str = ""
    environment: Path | None = None
    protocol: str = "auto"
    cpu: str = "host"
    split_irqchip: bool = False
    host: str = "auto"
    timeout_s: float = DEFAULT_TIMEOUT_S
    pinned_only: bool = False
    known_warnings: KnownWarnings | None = None
    expected: Reason | None = None
    again: str = ""

    def check(self) -> PayloadOptions:
        """Raise ``UserError`` naming the first bad value; self otherwise."""
        self.check_machine()
        if self.file.is_dir():
            raise UserError(f"payload {self.file} is a folder", "add --suite to run all in it")
        for path, role in ((self.file, "payload"), (self.environment, "module")):
            if path is not None and not path.is_file():
                raise UserError(f"{role} {path} does not exist", "give the path of a file")
        return self

    def check_machine(self) -> PayloadOptions:
        """The same without the files, which a suite names for each test."""
        if self.host not in HOSTS:
            raise UserError(f"--host {self.host}", f"use one of {', '.join(HOSTS)}")
        if self.protocol not in PROTOCOLS:
            raise UserError(f"--protocol {self.protocol}", f"use one of {', '.join(PROTOCOLS)}")
        if not 1 <= self.cpus <= MAX_VCPUS:
            raise UserError(f"--cpus {self.cpus}", f"a machine has 1 to {MAX_VCPUS} vCPUs")
        if self.timeout_s <= 0:
            raise UserError(f"--timeout {self.timeout_s:g}", "give a number of seconds above 0")
        return self

    @property
    def repeat(self) -> str:
        """The arguments of ``./invoke payload`` that do it again."""
        return self.again or self.arguments()

    def arguments(self) -> str:
        """The same options as ``./invoke payload`` arguments."""
        return shlex.join([str(self.file), *again.words(self, _SPELLED, ("expected", "again"))])

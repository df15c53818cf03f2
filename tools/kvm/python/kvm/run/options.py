# SPDX-License-Identifier: GPL-2.0-only
"""The options of a boot, in the user's words, checked before anything is built."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kvm.control import names
from kvm.errors import UserError
from kvm.run.vnc import parse_entrance
from kvm.spec import fields
from kvm.spec.fields import option
from kvm.spec.files import require_file
from kvm.spec.machine import Hardware, parse_display
from kvm.spec.share import ShareSpec
from kvm.verdict.known import KnownWarnings

HOSTS = ("auto", "native", "lab")
DEFAULT_DISPLAY = (1024, 768)
_ROOT_TAG = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootOptions(Hardware):
    """One boot: a machine and how to run it. Times are in seconds; paths are as the user gave them.

    ``timeout_s`` is how long the guest may show no sign of life; ``deadline_s``
    limits the whole run. ``kernel`` is a stock image that replaces the built one.
    """

    command: tuple[str, ...] = ()
    config: str = option(
        "default",
        short="c",
        help="kernel config: default, debug, kunit, or a path to a .config fragment",
    )
    items: tuple[str, ...] = option(
        (),
        name="configitem",
        short="o",
        help="CONFIG_NAME=VALUE on top of the config (repeatable)",
    )
    host: str = option(
        "auto",
        short="h",
        choices=HOSTS,
        help="where the VMM runs: auto, native (this machine's KVM) or lab (the tree's own KVM)",
    )
    from_: str = option(
        "",
        name="from",
        help="go on from this snapshot (./invoke snapshot NAME), instead of booting",
    )
    hold_host: bool = option(
        False,
        help="boot the guest on the lab host of the last good kernel, if only drivers that a lab "
        "host does not use were edited since",
    )
    append: str = option(
        "",
        short="a",
        joined=True,
        help="words to add to the kernel command line (repeatable)",
    )
    kernel: Path | None = option(
        None, short="k", read=Path, help="boot this vmlinux or bzImage instead of the tree's"
    )
    initrd: Path | None = option(None, short="i", read=Path, help="use this initrd instead of ours")
    lab_devices: tuple[str, ...] = option(
        (),
        name="lab_device",
        short="l",
        help="put a PCI device into the lab host, behind an IOMMU and bound to vfio-pci, in the "
        "words of QEMU's -device; the first is at 0000:00:10.0 (repeatable)",
    )
    root: str = option(
        "",
        short="t",
        help="use this folder as the guest's root file system, for example / of this machine; "
        "what the guest writes there stays in its memory",
    )
    shell: bool = option(False, help="give a shell in the guest")
    timeout_s: float = option(
        6.0,
        name="timeout",
        help="seconds without a sign of life after which the guest counts as hung",
    )
    deadline_s: float = option(3600.0, name="deadline", help="seconds the whole run may take")
    allow_warnings: bool = option(
        False, short="w", help="a kernel WARNING alone does not fail the run"
    )
    known_warnings: KnownWarnings | None = option(
        None,
        read=KnownWarnings.read_named,
        say=KnownWarnings.name,
        help="a file of signatures, one per line, of WARNINGs that do not fail the run; a failure "
        "prints its signature, and signatures that did not occur are listed",
    )
    pinned_only: bool = option(
        False, name="locked", help="use the pinned kernel version or fail; never a newer one"
    )
    name: str = option(
        "",
        help="the machine's name for ./invoke machine.* while it runs (default: that of the run's "
        "folder)",
    )
    vnc: str = option(
        "",
        help="show the machine's display to VNC viewers: auto, a Unix socket that only you can "
        "use, whose path is printed; or [ADDRESS:]PORT[,password=FILE], by default on 127.0.0.1 "
        "and with a password that is printed unless FILE has one (password=none: no password)",
    )
    display: tuple[int, int] | None = option(
        DEFAULT_DISPLAY,
        read=parse_display,
        say=lambda size: "{}x{}".format(*size),
        help="size of the display in pixels, with --vnc: WIDTHxHEIGHT",
    )
    stdin: bool = option(
        True,
        help="pass our input to the command; --no-stdin leaves it unread, for example in a shell "
        "loop",
    )

    def check(self) -> Self:
        """Raise ``UserError`` naming the first bad value; return self otherwise."""
        Hardware.check(self)
        if self.timeout_s <= 0 or self.deadline_s <= 0:
            raise UserError(
                "--timeout and --deadline are seconds above 0", "give a positive number"
            )
        for path, role in ((self.kernel, "kernel"), (self.initrd, "initrd")):
            if path is not None:
                require_file(path, role, "give the path of a kernel or initrd file")
        if self.root:
            self.root_share().check()
        if self.vnc:
            parse_entrance(self.vnc)
        elif self.display != DEFAULT_DISPLAY:
            size = "{}x{}".format(*self.display or ())
            raise UserError(f"--display {size} without --vnc", "give --vnc PORT too")
        if self.name:
            names.check(self.name)
        if self.lab_devices and self.host == "native":
            raise UserError("--lab-device with --host native", "a lab host has it; use --host lab")
        if self.hold_host and (self.host == "native" or self.lab_devices):
            other = "--lab-device" if self.lab_devices else "--host native"
            raise UserError(f"--hold-host with {other}", "leave one out")
        if self.shell and not self.stdin:
            raise UserError("--shell with --no-stdin", "a shell reads its commands; leave one out")
        if self.shell and self.command:
            raise UserError("--shell takes no command", "leave out --shell, or what follows --")
        return self

    def root_share(self) -> ShareSpec:
        """The root as the guest sees it: read-only, because its writes go to an overlay."""
        return ShareSpec(Path(self.root).absolute(), _ROOT_TAG, read_only=True)

    def arguments(self) -> str:
        """The same options as ``./invoke boot`` arguments, for repeating a run."""
        words = fields.words(self)
        return shlex.join([*words, *(("--", *self.command) if self.command else ())])

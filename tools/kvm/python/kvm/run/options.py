# SPDX-License-Identifier: GPL-2.0-only
"""What a person may ask of a boot, in their words, checked before anything is built."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm.control import names
from kvm.errors import UserError
from kvm.run import again
from kvm.run.network import parse_nets, parse_vsock
from kvm.run.vnc import parse_entrance
from kvm.verdict.known import KnownWarnings
from kvm.vm.spec import DEFAULT_KVM_DEVICE, EVENT_PATHS, PROTOCOLS, RINGS, TRANSPORTS

HELP = {
    "config": "kernel config: default, debug, kunit, or a path to a .config fragment",
    "configitem": "CONFIG_NAME=VALUE on top of the config (repeatable)",
    "host": "where the VMM runs: auto, native (this machine's KVM) or lab (the tree's own KVM)",
    "cpus": "number of vCPUs",
    "cpu": "the vCPUs' features: host or minimal, then +NAME or -NAME: --cpu host,-avx2; with a ? "
    "behind the name only where KVM offers it",
    "hugepages": "take guest memory from the host's pool of huge pages (vm.nr_hugepages)",
    "split_irqchip": "the IOAPIC in the VMM, local APICs in KVM, and no 8259s or 8254",
    "kvm_device": "the host's device file of KVM, where it has another besides /dev/kvm",
    "memory": "guest memory, such as 512M or 2G",
    "append": "words to add to the kernel command line",
    "kernel": "boot this vmlinux or bzImage instead of the tree's",
    "initrd": "use this initrd instead of ours",
    "protocol": "how the kernel is entered: auto (by what it is), linux (its 64-bit entry) or pvh",
    "disk": "attach a disk image: PATH, then ,ro or ,volatile (loses at the machine's end what the "
    "guest did not flush), ,raw or ,qcow2 (its name decides otherwise), ,direct, and where a "
    "qcow2 image's backing file may lie besides its folder: ,backing=PATH (repeatable); a comma "
    "in a path is written \\, here and in --share, --net and --vsock",
    "net": "give the guest a network: user[,hostfwd=tcp:HOST:GUEST][,loopback], which needs no "
    "permission; port HOST of this machine then leads to the guest's port GUEST (QEMU's "
    "hostfwd=tcp::HOST-:GUEST is understood), and with loopback the guest reaches 127.0.0.1 of the "
    "machine that the VMM runs on as 10.0.2.2; or "
    "tap=NAME[,script=FILE][,downscript=FILE][,vhost] (repeatable)",
    "vsock": "PATH[,cid=N]: a Unix socket that leads to the guest's vsock ports; PATH_N is what "
    "the guest finds at port N of the host. vhost[,cid=N]: the host's own AF_VSOCK sockets",
    "share": "let the guest use a folder, at /mnt/NAME: PATH[,ro][,tag=NAME] (repeatable)",
    "vfio_pci": "give the machine a PCI function of the host, which vfio-pci has, by its address "
    "there, such as 0000:00:10.0; needs --transport pci (repeatable)",
    "lab_device": "put a PCI device into the lab host, behind an IOMMU and bound to vfio-pci, as "
    "QEMU's -device takes it; the first is 0000:00:10.0 (repeatable)",
    "root": "take this folder for the guest's root, such as the machine's own /; what the guest "
    "writes there stays in its memory",
    "vnc": "show the machine's display to VNC viewers: auto, a Unix socket of yours, whose path is "
    "printed; or [ADDRESS:]PORT[,password=FILE], on 127.0.0.1 unless told, with a password that "
    "is printed where no file has it (password=none: without)",
    "display": "its size in pixels, with --vnc: WIDTHxHEIGHT",
    "tty": "a serial line of the guest's as a terminal of this machine's, whose path is printed: 0 "
    "(then its console), 2 or 3, as in ttyS0 (repeatable)",
    "balloon": "give the machine a memory balloon that takes this many MiB at the start",
    "shell": "give a shell in the guest",
    "stdin": "give the command our input; with --no-stdin it is left to others, such as a loop",
    "timeout": "seconds without a sign of life after which the guest counts as hung",
    "deadline": "seconds the whole run may take",
    "json": "write the result as JSON to this file, or - for stdout",
    "verbose": "show the guest kernel's console as it comes",
    "dry_run": "print what would be booted, build and boot nothing",
    "allow_warnings": "a kernel WARNING alone does not fail the run",
    "known_warnings": "a file of signatures, one a line, of WARNINGs that do not fail the run; a "
    "failure shows its own, and one that does not occur is told",
    "events": "how the guest's kernel may tell the VMM how far it has got: auto (by hypercall "
    "where KVM has it), port or none",
    "transport": "how the guest finds its virtio devices: mmio or pci",
    "ring": "virtqueues the guest is offered: split, or packed besides",
    "timeline": "write a picture of the boot's stages and initcalls to this .html file",
    "compare": "boot this revision too, several times by turns, and say which initcalls differ",
    "name": "what ./invoke machine.* calls the machine while it runs; otherwise its run's folder's",
    "locked": "use the pinned kernel version or fail; never a newer one",
}

REPEATABLE = ["configitem", "append", "disk", "net", "share", "vfio_pci", "lab_device", "tty"]

TEST_HELP = {
    "k": "run only tests (cells) that match this expression; nothing is built for other cells",
    "n": "parallel workers; in the matrix each has a lab host",
    "matrix": "run the test matrix, tests/matrix.toml",
    "subset": "which of its subsets: smoke, ci, soak, full",
    "axis": "only cells with these values: AXIS=VALUE,VALUE (repeatable, also for one axis)",
    "workload": "run this command line or script in each machine instead of the plan's workloads",
    "list": "list the cells and what they prove; run nothing",
    "dry_run": "say what would be built and run",
    "resume": "go on with the run that was interrupted; cells that have a verdict keep it",
    "reruns": "how often a failed cell is run again, to tell FAIL from FLAKY",
    "planted": "check that the matrix finds the faults in tests/matrix/planted",
    "bisect_planted": "check that bisect finds commits planted in a history, and whose they are",
    "known_warnings": HELP["known_warnings"],
    "json": HELP["json"],
}

BENCH_HELP = {
    "what": "boot: ours against QEMU microvm's; devices: disk and network against QEMU's; "
    "memory: beyond the guest's, against QEMU's; events: with guest events against without; "
    "payloads: the verdicts of test payloads beside those under QEMU's VMM",
    "suite": "payloads: the folder with their unittests.cfg, such as kvm-unit-tests",
    "k": "payloads: only tests of these names or shell patterns, with commas between",
    "runs": "interleaved runs of each",
    "json": HELP["json"],
}

REPORT_HELP = {
    "run": "number of the run; the newest one otherwise",
    "output": "FILE.html, .xml (JUnit), .ktap, .json, .md; or FORMAT:- for stdout (repeatable)",
}

TTYS = (0, 2, 3)
DEFAULT_DISPLAY = "1024x768"
_DISPLAY = re.compile(r"(\d{2,4})x(\d{2,4})")
_DISPLAY_PIXELS = range(64, 4097)
HOSTS = ("auto", "native", "lab")
_PCI_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
_MEMORY = re.compile(r"(\d+)([KMG]?)(?:i?B)?", re.IGNORECASE)
_SCALE_KIB = {"K": 1, "M": 1024, "": 1024, "G": 1024 * 1024}


# Fields of BootOptions whose option is called otherwise; see ``again.words``.
_SPELLED = {
    "items": "configitem",
    "memory_mib": "memory={}M",
    "disks": "disk",
    "nets": "net",
    "shares": "share",
    "lab_devices": "lab-device",
    "timeout_s": "timeout",
    "deadline_s": "deadline",
    "known_warnings": "known-warnings={0.path}",
    "pinned_only": "locked",
    "ttys": "tty",
}


@dataclass(frozen=True, slots=True)
class BootOptions:
    """One boot. Times are seconds, memory is MiB; paths are as the user gave them.

    ``timeout_s`` is how long the guest may give no sign of life; ``deadline_s``
    bounds the whole run. ``kernel`` replaces the built image by a stock one.
    """

    command: tuple[str, ...] = ()
    shell: bool = False
    host: str = "auto"
    config: str = "default"
    items: tuple[str, ...] = ()
    cpus: int = 1
    memory_mib: int = 256
    append: str = ""
    kernel: Path | None = None
    initrd: Path | None = None
    protocol: str = "auto"
    cpu: str = "host"
    hugepages: bool = False
    split_irqchip: bool = False
    kvm_device: str = DEFAULT_KVM_DEVICE
    disks: tuple[str, ...] = ()
    nets: tuple[str, ...] = ()
    vsock: str = ""
    shares: tuple[str, ...] = ()
    vfio_pci: tuple[str, ...] = ()
    lab_devices: tuple[str, ...] = ()
    root: str = ""
    balloon: int = -1  # MiB; negative: no balloon
    timeout_s: float = 6.0
    deadline_s: float = 3600.0
    allow_warnings: bool = False
    known_warnings: KnownWarnings | None = None
    pinned_only: bool = False
    events: str = "auto"
    transport: str = "mmio"
    ring: str = "split"
    name: str = ""
    ttys: tuple[int, ...] = ()
    vnc: str = ""
    display: str = DEFAULT_DISPLAY
    stdin: bool = True

    def check(self) -> BootOptions:
        """Raise ``UserError`` naming the first bad value; self otherwise."""
        if self.host not in HOSTS:
            raise UserError(f"--host {self.host}", f"use one of {', '.join(HOSTS)}")
        if self.events not in EVENT_PATHS:
            raise UserError(f"--events {self.events}", f"use one of {', '.join(EVENT_PATHS)}")
        if self.transport not in TRANSPORTS:
            raise UserError(f"--transport {self.transport}", f"use one of {', '.join(TRANSPORTS)}")
        if self.ring not in RINGS:
            raise UserError(f"--ring {self.ring}", f"use one of {', '.join(RINGS)}")
        if self.protocol not in PROTOCOLS:
            raise UserError(f"--protocol {self.protocol}", f"use one of {', '.join(PROTOCOLS)}")
        if not 1 <= self.cpus <= 255:
            raise UserError(f"--cpus {self.cpus}", "a machine has 1 to 255 vCPUs")
        if self.timeout_s <= 0 or self.deadline_s <= 0:
            raise UserError(
                "--timeout and --deadline are seconds above 0", "give a positive number"
            )
        if not self.kvm_device.startswith("/"):
            raise UserError(
                f"--kvm-device {self.kvm_device}", "give its whole path, such as /dev/kvm"
            )
        for path in (self.kernel, self.initrd):
            if path is not None and not path.is_file():
                raise UserError(
                    f"{path} does not exist", "give the path of a kernel or initrd file"
                )
        for number in self.ttys:
            if number not in TTYS or self.ttys.count(number) > 1:
                raise UserError(
                    f"--tty {number}", "use 0, 2 and 3, each once; ttyS1 is the harness's own"
                )
        if self.vnc:
            parse_entrance(self.vnc)
        elif self.display != DEFAULT_DISPLAY:
            raise UserError(f"--display {self.display} without --vnc", "give --vnc PORT too")
        parse_display(self.display)
        if self.name:
            names.check(self.name)
        parse_nets(self.nets)
        if self.vsock:
            parse_vsock(self.vsock)
        if self.lab_devices and self.host == "native":
            raise UserError("--lab-device with --host native", "a lab host has it; use --host lab")
        for address in self.vfio_pci:
            if not _PCI_ADDRESS.fullmatch(address):
                raise UserError(f"--vfio-pci {address}", "write it as lspci -D does: 0000:00:10.0")
        if self.shell and not self.stdin:
            raise UserError("--shell with --no-stdin", "a shell reads its commands; leave one out")
        if self.shell and self.command:
            raise UserError("--shell takes no command", "leave out --shell, or what follows --")
        return self

    def arguments(self) -> str:
        """The same options as ``./invoke boot`` arguments, for repeating a run."""
        words = again.words(self, _SPELLED, ("command",))
        return shlex.join([*words, *(("--", *self.command) if self.command else ())])


def parse_display(text: str) -> tuple[int, int]:
    """``WIDTHxHEIGHT`` in pixels. Raises ``UserError``."""
    matched = _DISPLAY.fullmatch(text)
    size = (int(matched[1]), int(matched[2])) if matched else (0, 0)
    if size[0] not in _DISPLAY_PIXELS or size[1] not in _DISPLAY_PIXELS:
        raise UserError(f"--display {text}", "write it like 1024x768, 64 to 4096 pixels either way")
    return size


def parse_ttys(texts: Sequence[str]) -> tuple[int, ...]:
    """``--tty`` as given, once or several times. Raises ``UserError`` for what is no number."""
    for text in texts:
        if not text.isdecimal():
            raise UserError(f"--tty {text!r}", "give a number, as in ttyS0: 0, 2 or 3")
    return tuple(map(int, texts))


def read_known(text: str) -> KnownWarnings | None:
    """``--known-warnings`` as given; none for "". Raises ``UserError``, naming file and line."""
    return KnownWarnings.read(Path(text).expanduser().absolute()) if text else None


def parse_memory(text: str) -> int:
    """``512``, ``512M``, ``2G`` → MiB. A bare number is MiB, as virtme-ng takes it."""
    matched = _MEMORY.fullmatch(text.strip())
    if matched is None:
        raise UserError(f"--memory {text!r}", "write it like 512M or 2G")
    mib = int(matched.group(1)) * _SCALE_KIB[matched.group(2).upper()] // 1024
    if mib < 32:
        raise UserError(f"--memory {text} is {mib} MiB", "a kernel needs at least 32 MiB")
    return mib

# SPDX-License-Identifier: GPL-2.0-only
"""The meaning of the facts for building and booting. Pure: facts in, findings out."""

from __future__ import annotations

from dataclasses import dataclass

from kvm.doctor.facts import Disk, Facts, KernelTree
from kvm.doctor.kvm_device import KvmDevice, KvmState
from kvm.doctor.model import Check, Report, State
from kvm.doctor.packages import Family, Package, install_command
from kvm.host.choose import HostKind, ProbeResult, choose

_DISK_BYTES = 8 << 30  # a kernel tree, its objects and a few cached images
# Firmware and kernel keep some of 4 GiB for themselves.
_MEMORY_MIB = 4096 - 512


@dataclass(frozen=True, slots=True)
class _Tools:
    """Commands shown on one line: the package rows that belong there, and the versions to show."""

    line: str
    probes: tuple[str, ...]
    versions: tuple[str, ...] = ()


_KERNEL_TOOLS = (
    *("make", "flex", "bison", "bc", "awk", "cmp", "find", "cpio", "xz", "zstd"),
    *("tar", "rsync", "modprobe", "perl"),
)
_LINES = (
    _Tools("compilers", ("gcc", "g++"), ("gcc", "g++", "ld")),
    _Tools("kernel build tools", _KERNEL_TOOLS, ("make",)),
    _Tools("ccache", ("ccache",), ("ccache",)),
    _Tools("git", ("git",), ("git",)),
    _Tools("qemu", ("qemu-system-x86_64",), ("qemu-system-x86_64",)),
    _Tools("static busybox", ("static:busybox",)),
)
# Oldest versions that work, with the reason: C++20 library parts; the kernel's own
# Documentation/process/changes.rst; microvm with SVM under TCG.
_MINIMUM: dict[str, tuple[int, ...]] = {
    "g++": (11,),
    "gcc": (5, 1),
    "make": (4, 0),
    "qemu-system-x86_64": (7, 0),
}
_ONLY_SLOWER = frozenset({"ccache"})


def judge(facts: Facts) -> Report:
    """All findings, in the order in which a newcomer would fix them."""
    choice, why = choose_host(facts.kvm, facts.versions.get("qemu-system-x86_64") is not None)
    return Report(
        checks=(
            _machine(facts.machine),
            _python(facts.python, facts.missing, facts.family),
            *(_tools(line, facts) for line in _LINES),
            _headers(facts.missing, facts.family),
            *(_disk(disk) for disk in facts.disks),
            _memory(facts.memory_mib),
            _cores(facts.cores),
            _kvm(facts.kvm),
            _tree(facts.tree),
            Check("lab host", State.OK, facts.lab or "not running (started when needed)"),
        ),
        host_choice=choice,
        why=why,
    )


def choose_host(kvm: KvmDevice, has_qemu: bool) -> tuple[str, str]:
    """The host that ``--host auto`` chooses here, and the reason in words."""
    if kvm.state is KvmState.OPENS:
        return "undecided", "/dev/kvm opens, but only a probe guest tells native from lab"
    probed = ProbeResult(kvm.state.value, kvm.detail, kvm.nested)
    choice = choose("auto", lambda: probed)
    if choice.kind is HostKind.LAB and not has_qemu:
        return "none", f"{choice.why}, and QEMU is missing"
    return choice.kind.value, choice.why


def _machine(name: str) -> Check:
    if name == "x86_64":
        return Check("machine", State.OK, name)
    return Check("machine", State.BAD, f"{name}: the VMM is for x86_64", "use an x86_64 machine")


def _python(version: tuple[int, int, int], missing: tuple[Package, ...], where: Family) -> Check:
    detail = ".".join(map(str, version))
    lacking = [p for p in missing if p.probes[0].startswith("python:")]
    if not lacking:
        return Check("python", State.OK, detail)
    parts = " and ".join(p.probes[0].partition(":")[2] for p in lacking)
    return Check("python", State.BAD, f"{detail} lacks {parts}", install_command(lacking, where))


def _tools(line: _Tools, facts: Facts) -> Check:
    lacking = [p for p in facts.missing if set(p.probes) & set(line.probes)]
    if lacking:
        state = State.WARN if set(line.probes) <= _ONLY_SLOWER else State.BAD
        names = ", ".join(p.probes[0].removeprefix("static:") for p in lacking)
        return Check(line.line, state, f"missing: {names}", install_command(lacking, facts.family))
    old = [name for name in line.versions if _too_old(name, facts.versions.get(name))]
    shown = ", ".join(f"{name} {_dotted(facts.versions.get(name))}" for name in line.versions)
    if old:
        wanted = ", ".join(f"{name} ≥ {_dotted(_MINIMUM[name])}" for name in old)
        return Check(line.line, State.BAD, shown, f"install {wanted}")
    return Check(line.line, State.OK, shown or "present")


def _too_old(name: str, version: tuple[int, ...] | None) -> bool:
    return version is not None and name in _MINIMUM and version < _MINIMUM[name]


def _dotted(version: tuple[int, ...] | None) -> str:
    return ".".join(map(str, version)) if version else "(version unknown)"


def _headers(missing: tuple[Package, ...], where: Family) -> Check:
    lacking = [p for p in missing if p.probes[0].startswith("/")]
    if not lacking:
        return Check(
            "headers and libraries", State.OK, "libc, libelf, openssl, doctest, certificates"
        )
    detail = "missing: " + ", ".join(dict.fromkeys(p.name(where) for p in lacking))
    return Check("headers and libraries", State.BAD, detail, install_command(lacking, where))


def _disk(disk: Disk) -> Check:
    detail = f"{disk.free_bytes / (1 << 30):.1f} GiB free at {disk.path}"
    name = f"disk for {disk.purpose}"
    if disk.free_bytes >= _DISK_BYTES:
        return Check(name, State.OK, detail)
    hint = f"free {(_DISK_BYTES - disk.free_bytes) / (1 << 30):.1f} GiB"
    if disk.purpose == "cache":
        hint += ", or point XDG_CACHE_HOME at a larger disk"
    return Check(name, State.BAD, detail, hint)


def _memory(mib: int) -> Check:
    detail = f"{mib / 1024:.1f} GiB"
    if mib >= _MEMORY_MIB:
        return Check("memory", State.OK, detail)
    return Check("memory", State.WARN, detail, "4 GiB or more: fewer jobs and smaller guests help")


def _cores(count: int) -> Check:
    if count > 1:
        return Check("cores", State.OK, str(count))
    return Check("cores", State.WARN, "1", "use 2 or more: a cold kernel build takes minutes")


def _kvm(kvm: KvmDevice) -> Check:
    if kvm.state is KvmState.USABLE:
        nested = "and can nest" if kvm.nested else "without nesting (the lab host uses TCG)"
        return Check("/dev/kvm", State.OK, f"usable {nested}; {kvm.detail}".rstrip("; "))
    # None of these is bad: the lab host works without the machine's KVM.
    detail, hint = {
        KvmState.ABSENT: (
            f"absent: {kvm.detail}",
            "nothing to do: the lab host works without; for speed, enable virtualization",
        ),
        KvmState.DENIED: (
            kvm.detail,
            'join its group: sudo usermod -aG kvm "$USER", then log in again',
        ),
        KvmState.OPENS: (f"opens; {kvm.detail}", "run ./invoke build, then ask again"),
        KvmState.BROKEN: (
            f"opens but cannot run Linux: {kvm.detail}",
            "nothing to do: the lab host is used instead",
        ),
    }[kvm.state]
    return Check("/dev/kvm", State.WARN, detail, hint)


def _tree(tree: KernelTree) -> Check:
    if tree.problem:
        return Check("kernel tree", State.BAD, tree.problem, "set KERNEL_TREE to a kernel clone")
    detail = f"{tree.mode}: {tree.path}"
    if tree.fetched:
        return Check("kernel tree", State.OK, detail)
    return Check("kernel tree", State.OK, f"{detail} (not fetched yet; the first build does it)")

# SPDX-License-Identifier: GPL-2.0-only
"""The VMM: runs one virtual machine in this process. Only ``kvm.vm`` imports it."""

from typing import Any, TypedDict

version: str

class ConfigError(ValueError):
    """The configuration asks for something impossible; names the value and the hint."""

class LoadError(RuntimeError):
    """A kernel or initrd cannot be loaded; names the file and the hint."""

class KvmError(RuntimeError):
    """A system call failed; names the call (``KVM_CREATE_VM: ...``)."""

def defaults() -> dict[str, dict[str, Any]]:
    """What a record of each kind (machine, disk, share, net, forward, vsock) may hold: its fields
    with their defaults, or ``...`` for one that must be there. A forward is a list of its
    values."""

class StopInfo:
    @property
    def reason(self) -> str:
        """reset, shutdown, stopped, internal_error, fail_entry, debug_exit, guest_panic,
        system_event or vmm_error."""
    @property
    def detail(self) -> str: ...

class Exits(TypedDict):
    reasons: dict[str, int]
    ports: dict[str, int]
    devices: dict[str, int]

class Balloon(TypedDict):
    target_bytes: int
    actual_bytes: int
    reported_bytes: int
    """Given back because the guest reported it as free, all told."""
    statistics_count: int
    statistics: dict[int, int]
    """The guest's latest, by VIRTIO_BALLOON_S_* number."""

class Machine:
    def __init__(self, record: dict[str, Any]) -> None:
        """Create the VM and load the kernel. Raises ConfigError, LoadError or KvmError.

        ``record`` has the fields that ``defaults`` names, as ``json_form.to_json`` writes them. A
        net's ``tap_fd`` is a tap that this process has open, instead of a name.
        """
    def start(self) -> None: ...
    def wait(self, timeout_s: float) -> StopInfo | None:
        """Why the machine stopped, or None when it still runs after ``timeout_s``.

        Releases the GIL; call it with short timeouts where Ctrl-C matters.
        """
    def stop(self) -> None:
        """Ask the vCPUs to stop, from any thread; ``wait`` tells when they have."""
    def pause(self) -> None:
        """No vCPU is in the guest when it returns. Raises KvmError if one does not come out."""
    def resume(self) -> None: ...
    @property
    def paused(self) -> bool: ...
    def nmi(self, vcpu: int) -> None:
        """Raises ConfigError if there is no such vCPU."""
    def serial_sysrq(self, key: str) -> None:
        """A break on the first serial line, then ``key``, one character."""
    def close(self) -> None: ...
    @property
    def console_fd(self) -> int:
        """Non-blocking socket, as are the next two; closed by ``close``."""
    @property
    def agent_fd(self) -> int: ...
    @property
    def serial_agent_fd(self) -> int: ...
    @property
    def events_fd(self) -> int:
        """Carries the guest's events, as ``kvm.guest.events`` decodes them."""
    @property
    def output_unsent(self) -> bool:
        """Whether more will come out of these descriptors once what is in them has been read."""
    def resize_console(self, columns: int, rows: int) -> None:
        """Tell the guest the size of its first virtio console; each is below 65536."""

    def connect_viewer(self) -> int:
        """A socket, the caller's, that speaks RFB. Raises ConfigError without a display."""
    @property
    def tty_fds(self) -> dict[int, int]:
        """The host's ends of the user's serial lines, by number."""
    @property
    def stopped_fd(self) -> int:
        """Becomes readable when ``wait`` has something to tell."""
    @property
    def cmdline(self) -> str:
        """The kernel command line including the entries for the virtio devices."""
    @property
    def started_ns(self) -> int:
        """CLOCK_MONOTONIC when the first vCPU was about to run; 0 before."""
    @property
    def events_offered(self) -> str:
        """How the guest may send events: hypercall, port or none."""
    @property
    def events_seen(self) -> str:
        """How it has sent some: hypercall, port or none."""
    def unsent_events(self) -> bytes:
        """A record of what it gathered and did not send; only after the machine has stopped."""
    @property
    def load_ns(self) -> int:
        """How long it took to put kernel and initrd in guest memory."""
    def set_balloon(self, mib: int) -> None:
        """How much the guest is to give up. Raises ConfigError."""
    def ask_balloon_statistics(self) -> None:
        """``balloon`` has them some time later."""
    def balloon(self) -> Balloon | None: ...
    def exits(self) -> Exits: ...
    def last_exits(self) -> list[str]: ...
    def registers(self) -> list[dict[str, int]]:
        """One dict per vCPU; only after the machine has stopped."""
    def read_memory(self, gpa: int, size: int) -> bytes: ...

class ProbeResult:
    @property
    def state(self) -> str:
        """absent, denied, broken or usable."""
    @property
    def detail(self) -> str: ...
    @property
    def nested(self) -> bool:
        """A guest on this KVM could run KVM itself."""

def probe(timeout_s: float) -> ProbeResult:
    """Run a small guest to find out whether /dev/kvm can run Linux."""

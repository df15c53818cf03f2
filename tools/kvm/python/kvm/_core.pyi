# SPDX-License-Identifier: GPL-2.0-only
"""The VMM: runs one virtual machine in this process. Only ``kvm.vm`` imports it."""

from typing import Any, TypedDict

version: str

class ConfigError(ValueError):
    """The configuration is impossible; the message names the value and has a hint."""

class LoadError(RuntimeError):
    """A kernel or initrd can't be loaded; the message names the file and has a hint."""

class KvmError(RuntimeError):
    """A system call failed; the message names it (``KVM_CREATE_VM: ...``)."""

def defaults() -> dict[str, dict[str, Any]]:
    """The fields of each kind of record (machine, disk, share, net, forward, vsock) with their
    defaults, or ``...`` for a required one. A forward is a list of its values."""

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
    """The total returned to the host because the guest reported it as free."""
    statistics_count: int
    statistics: dict[int, int]
    """The guest's latest statistics, by VIRTIO_BALLOON_S_* number."""

class Machine:
    def __init__(self, record: dict[str, Any]) -> None:
        """Create the VM and load the kernel. Raises ConfigError, LoadError or KvmError.

        ``record`` has the fields that ``defaults`` names, as ``json_form.to_json`` writes them. A
        net has ``tap_fd``, a tap that this process has open, instead of a name.
        """
    def start(self) -> None: ...
    def wait(self, timeout_s: float) -> StopInfo | None:
        """Why the machine stopped, or None if it still runs after ``timeout_s``.

        Releases the GIL; call it with short timeouts where Ctrl-C matters.
        """
    def stop(self) -> None:
        """Ask the vCPUs to stop, from any thread; ``wait`` returns when they have."""
    def pause(self) -> None:
        """Take all vCPUs out of the guest. Raises KvmError if one does not leave it."""
    def resume(self) -> None: ...
    def checkpoint(self) -> None: ...
    def rewind(self) -> None: ...
    @property
    def paused(self) -> bool: ...
    def nmi(self, vcpu: int) -> None:
        """Send a non-maskable interrupt. Raises ConfigError if there is no such vCPU."""
    def serial_sysrq(self, key: str) -> None:
        """Send a break on the first serial line, then ``key``, one character."""
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
        """Whether these descriptors will have more output once what is in them has been read."""
    def resize_console(self, columns: int, rows: int) -> None:
        """Set the size of the guest's first virtio console; each value is below 65536."""

    def connect_viewer(self) -> int:
        """A new socket for the caller that speaks RFB. Raises ConfigError without a display."""
    @property
    def tty_fds(self) -> dict[int, int]:
        """The host's ends of the user's serial lines, by line number."""
    @property
    def stopped_fd(self) -> int:
        """Becomes readable when ``wait`` can return a reason."""
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
        """How the guest has sent events: hypercall, port or none."""
    def unsent_events(self) -> bytes:
        """A record of the events that it did not send; only after the machine has stopped."""
    @property
    def load_ns(self) -> int:
        """How long it took to put kernel and initrd in guest memory."""
    def set_balloon(self, mib: int) -> None:
        """Set how much memory the guest gives up. Raises ConfigError."""
    def ask_balloon_statistics(self) -> None:
        """Request statistics; ``balloon`` has them some time later."""
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
        """Whether a guest on this KVM could run KVM itself."""

def probe(timeout_s: float) -> ProbeResult:
    """Run a small guest to find out whether /dev/kvm can run Linux."""

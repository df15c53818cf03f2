# SPDX-License-Identifier: GPL-2.0-only
"""The VMM: runs one virtual machine in this process. Only ``kvm.vm`` imports it."""

from typing import TypedDict

version: str

class ConfigError(ValueError):
    """The configuration asks for something impossible; names the value and the mend."""

class LoadError(RuntimeError):
    """A kernel or initrd cannot be loaded; names the file and the mend."""

class KvmError(RuntimeError):
    """A system call failed; names the call (``KVM_CREATE_VM: ...``)."""

class DiskConfig:
    path: str
    read_only: bool
    volatile_cache: bool
    """Writes stay in this process until the guest flushes them; not with ``read_only``."""
    format: str
    """raw or qcow2."""
    direct: bool
    """Past the host's page cache; raw alone."""
    backing_folder: str
    """Where relative names of backing files count from; empty: the image's own folder."""
    format_said: bool
    """By the user. Unless it is, a raw disk that holds an image of another format is refused."""
    backing: list[str]
    """Files and folders where backing files may lie, besides that folder."""
    backing_files: list[str]
    """Where they are, the uppermost first, if not by the names in the images."""
    def __init__(
        self,
        path: str,
        read_only: bool,
        volatile_cache: bool,
        format: str = "raw",
        direct: bool = False,
        backing_folder: str = "",
        format_said: bool = False,
        backing: list[str] = ...,
        backing_files: list[str] = ...,
    ) -> None: ...

class ShareConfig:
    path: str
    tag: str
    read_only: bool
    def __init__(self, path: str, tag: str, read_only: bool) -> None: ...

class ForwardConfig:
    """A port of the host that leads to one of the guest's."""
    def __init__(self, udp: bool, host_address: str, host_port: int, guest_port: int) -> None: ...

class NetConfig:
    kind: str
    """user or tap."""
    mac: str
    """Empty for one that follows from the interface's number."""
    mtu: int
    """Of user; 0 for the usual."""
    forwards: list[ForwardConfig]
    host_loopback: bool
    """Of user: 10.0.2.2 leads to this machine's 127.0.0.1."""
    closed: list[str]
    """Of user: networks that the guest must not reach, like 198.51.100.0/24."""
    tap: str
    tap_fd: int
    """A tap that this process has open, instead of a name; -1 for none."""
    queue_pairs: int
    host_address: str
    """For the tap's interface; empty to leave it as it is."""
    vhost: bool
    """The host's kernel moves the tap's frames."""
    def __init__(self) -> None: ...

class VsockConfig:
    def __init__(self, path: str, cid: int, vhost: bool) -> None:
        """An empty path for no device, or, with ``vhost``, for the host's own."""

class DisplayConfig:
    """Pixels, and the password of viewers; none is asked for if it is empty."""

    def __init__(self, width: int, height: int, password: str = "") -> None: ...

class MachineConfig:
    kernel: str
    initrd: str
    """Empty for none."""
    cmdline: str
    vcpus: int
    memory_mib: int
    disks: list[DiskConfig]
    """Assign a whole list: reading gives a copy."""
    nets: list[NetConfig]
    """Assign a whole list: reading gives a copy."""
    vsock: VsockConfig
    shares: list[ShareConfig]
    rng: bool
    balloon_mib: int | None
    """How much the guest is to give up at the start; None for no balloon."""
    guest_events: str
    """auto, port or none."""
    transport: str
    ring: str
    hugepages: bool
    display: DisplayConfig | None
    ttys: list[int]
    """Serial lines that the user has: 0, 2, 3."""
    vfio_pci: list[str]
    kvm_device: str
    split_irqchip: bool
    """The IOAPIC in this process, and neither 8259s nor an 8254."""
    cpu: str
    """host or minimal, then +FEATURE or -FEATURE (FEATURE?: if KVM has it), commas between."""
    protocol: str
    """auto, linux, pvh, multiboot or flat."""
    payload: bool
    """With the test device, and without virtio devices."""
    def __init__(self) -> None: ...

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
    def __init__(self, config: MachineConfig) -> None:
        """Create the VM and load the kernel. Raises ConfigError, LoadError or KvmError."""
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

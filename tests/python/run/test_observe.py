# SPDX-License-Identifier: GPL-2.0-only
"""What a run left behind becomes facts for the judge, and no fact is made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kvm.host.base import HostHung, HostPanic
from kvm.run import observe
from kvm.run.drive import Transcript
from kvm.run.extras import RunExtras
from kvm.run.observe import Attempt, Capture
from kvm.verdict.judge import judge
from kvm.verdict.vocabulary import Reason, Verdict
from support.asked import boot_options


def test_a_kernel_that_panics_as_lab_host_is_a_kernel_panic() -> None:
    text = "[    0.100000] Kernel panic - not syncing: planted\n"
    outcome = judge(observe.not_up(HostPanic("it panicked", console=text), 3.0))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.KERNEL_PANIC)


def test_a_kernel_that_never_comes_up_is_a_hang() -> None:
    outcome = judge(observe.not_up(HostHung("silent", console=""), 120.0))
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.HANG)


def test_a_capture_passes_all_on_and_keeps_the_beginning() -> None:
    out = bytearray()
    capture = Capture(out.extend, out.extend)
    for _ in range(100):
        capture.stdout(b"x" * 1024)
    assert len(out) == 100 << 10
    assert len(capture.text("stdout")) == 64 << 10


NO_DRIVER = "0 of 1 disks are there: the guest's kernel has no virtio_blk (CONFIG_VIRTIO_BLK)"


def observed(tmp_path: Path, script: Transcript, extras: RunExtras, **options: Any) -> Any:
    """The observation of a run of ``true`` under a kernel whose folder is ``tmp_path``."""
    (tmp_path / "System.map").write_text("ffffffff81000000 T _text\n")
    kernel = SimpleNamespace(folder=tmp_path, system_map=tmp_path / "System.map")
    halves: Any = SimpleNamespace(kernel=kernel)
    place: Any = SimpleNamespace(name="lab", console="")
    capture = Capture(lambda data: None, lambda data: None)
    ended = Attempt(("true",), script, capture, place, None, None)
    return observe.observation(ended, boot_options(**options), halves, extras)


@pytest.mark.parametrize(
    ("config", "options", "reason"),
    [
        ("# CONFIG_VIRTIO_BLK is not set\n", {}, Reason.INFRASTRUCTURE),
        ("CONFIG_VIRTIO_BLK=m\n", {}, Reason.INFRASTRUCTURE),
        ("CONFIG_VIRTIO_BLK=y\n", {}, Reason.CHECK_FAILED),
        ("CONFIG_VIRTIO_BLK=y\n", {"append": "initcall_blacklist=a"}, Reason.INFRASTRUCTURE),
        ("CONFIG_VIRTIO_BLK=y\n", {"kernel": Path("/vmlinuz")}, Reason.INFRASTRUCTURE),
    ],
)
def test_a_driver_that_the_kernel_was_built_with_and_that_is_not_there_has_failed(
    config: str, options: dict[str, Any], reason: Reason, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(config)
    script = Transcript(result={"event": "result", "stop": "reset"})
    script.hello, script.exit_code = {"lacking": NO_DRIVER, "missing": ""}, 0
    outcome = judge(observed(tmp_path, script, RunExtras(), **options))
    assert (outcome.reason, outcome.summary) == (reason, NO_DRIVER)


def test_warnings_that_a_test_provokes_are_known_and_others_are_not(tmp_path: Path) -> None:
    stamp = "[    1.000000] "
    frames = ("Call Trace:", " <TASK>", " dump_stack+0x10/0x20", " {}+0x56/0x70", " </TASK>")
    trace = "".join(f"{stamp}{frame}\n" for frame in frames)
    (tmp_path / "config").write_text("")
    signature = "a call trace of no known report in sysfs_warn_dup"
    extras = RunExtras(known_warnings=frozenset((signature,)))
    for symbol, verdict in (("sysfs_warn_dup", Verdict.PASS), ("kobject_add", Verdict.FAIL)):
        script = Transcript(result={"event": "result", "stop": "reset"})
        script.hello, script.exit_code = {}, 0
        script.console.feed(trace.format(symbol).encode())
        script.console.finish()
        outcome = judge(observed(tmp_path, script, extras))
        assert outcome.verdict is verdict, outcome

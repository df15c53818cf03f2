# SPDX-License-Identifier: GPL-2.0-only
"""What may become a snapshot, what a clone of one may be given, and how one is kept by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kvm.errors import UserError
from kvm.kernel.build import Kernel
from kvm.project import Project
from kvm.run import snapshots
from kvm.run.halves import Halves
from kvm.run.record import KernelFacts, RunRecord
from kvm.run.snapshots import Snapshot
from kvm.verdict.vocabulary import Outcome, Reason, Verdict
from kvm.vm.build import Vmm
from support.asked import boot_options

GOOD = Outcome(Verdict.PASS, Reason.OK, "")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Project(tmp_path)


@pytest.fixture
def kept(project: Project) -> Snapshot:
    """One that was made with options of all kinds."""
    options = boot_options(
        vcpus=2,
        memory_mib="512M",
        append="quiet nosmt",
        items=("CONFIG_A=y",),
        command=("ls", "a b"),
    )
    described = snapshots.described("base", options, snapshots.of_options("base", options))
    record = RunRecord(
        outcome=GOOD, host="lab", exit_code=0, kernel=KernelFacts("6.12", "k1", ""), vmm_id="v1"
    )
    made = described.of(record)
    made.keep(project)
    return made


def _halves(kernel: str, vmm: str) -> Halves:
    folder = Path("/nowhere")
    image = Kernel(kernel, "image", "6.12", "source", "default", folder, 0.0, built=False)
    return Halves(image, Vmm(vmm, folder, 0.0, built=False))


def test_one_that_was_kept_is_found_by_its_name(project: Project, kept: Snapshot) -> None:
    assert Snapshot.load(project, "base") == kept
    assert list(snapshots.all_of(project)) == [kept]
    assert kept.words == (
        "snapshot base --cpus=2 --memory=512M --configitem=CONFIG_A=y '--append=quiet nosmt' "
        "-- ls 'a b'"
    )


def test_a_clone_has_the_machine_of_the_snapshot_and_the_run_that_is_asked_for(
    kept: Snapshot,
) -> None:
    found = kept.options(boot_options(from_="base", timeout_s=9.0, command=("id",)))
    assert (found.vcpus, found.memory_mib, found.items) == (2, 512, ("CONFIG_A=y",))
    assert (found.timeout_s, found.command, found.host) == (9.0, ("id",), "lab")
    assert found.append == "quiet nosmt"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"vcpus": 4}, "--cpus=4"),
        ({"append": "debug"}, "--append=debug"),
        ({"disks": ("/dev/null",)}, "--disk="),
        ({"config": "debug"}, "--config=debug"),
        ({"hugepages": True}, "--hugepages"),
        ({"host": "native"}, "--host native"),
    ],
)
def test_a_clone_is_refused_what_its_snapshot_has_settled(
    kept: Snapshot, wrong: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError) as refused:
        kept.options(boot_options(from_="base", **wrong))
    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("unfit", "named"),
    [
        ({"disks": ("/disk",)}, "(?s)--disk /disk can't .* clones would write .*PATH,transient"),
        ({"disks": ("/disk,volatile",)}, "--disk /disk,volatile can't"),
        ({"shares": ("/tmp",)}, "--share"),
        ({"root": "/"}, "--root"),
        (
            {"nets": ("user,hostfwd=tcp:1:1",)},
            "(?s)--net user,hostfwd=.* can't be.*leave out hostfwd",
        ),
        ({"nets": ("tap=t0",)}, "--net tap=t0"),
        ({"ttys": (2,)}, "--tty"),
        ({"vnc": "auto"}, "--vnc"),
        ({"vfio_pci": ("0000:00:10.0",)}, "--vfio-pci"),
        ({"lab_devices": ("e1000",)}, "--lab-device"),
        ({"hold_host": True}, "--hold-host"),
        ({"host": "native"}, "--host native"),
    ],
)
def test_a_machine_that_can_not_be_saved_is_refused_by_what_prevents_it(
    unfit: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        snapshots.of_options("base", boot_options(**unfit))


def test_other_halves_than_the_snapshots_are_named(project: Project, kept: Snapshot) -> None:
    (project.cache / "snapshots" / f"0123-{kept.clone().key}").mkdir(parents=True)
    kept.require(project, _halves("k1", "v1"))
    for halves, half in ((_halves("k2", "v1"), "kernel k1"), (_halves("k1", "v2"), "VMM v1")):
        with pytest.raises(UserError) as refused:
            kept.require(project, halves)
        assert half in str(refused.value)
        assert f"./invoke {kept.words}" in str(refused.value)


def test_one_that_the_cache_has_lost_says_how_to_make_it(project: Project, kept: Snapshot) -> None:
    with pytest.raises(UserError, match="is not in the cache any more") as refused:
        kept.require(project, _halves("k1", "v1"))
    assert f"./invoke {kept.words}" in str(refused.value)


@pytest.mark.parametrize("name", ["", "../up", ".hidden", "a/b", "-x", "x" * 65, "a b"])
def test_a_bad_name_is_refused_before_anything_is_done(project: Project, name: str) -> None:
    for act in (snapshots.drop, Snapshot.load):
        with pytest.raises(UserError, match="is no name for a snapshot"):
            act(project, name)
    with pytest.raises(UserError, match="is no name for a snapshot"):
        snapshots.of_options(name, boot_options())


def test_an_unknown_one_is_said_to_be_none(project: Project) -> None:
    for act in (snapshots.drop, Snapshot.load):
        with pytest.raises(UserError, match="there is no snapshot none"):
            act(project, "none")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "base"}', '{"strange": 1}'])
def test_an_unreadable_one_says_so_and_can_be_dropped(
    project: Project, kept: Snapshot, text: str
) -> None:
    path = project.cache / "snapshot-names" / "base.json"
    path.write_text(text)
    with pytest.raises(UserError, match="is unreadable"):
        Snapshot.load(project, "base")
    assert list(snapshots.all_of(project)) == []
    snapshots.drop(project, "base")
    assert not path.exists()


def test_to_drop_one_removes_its_lab_host(project: Project, kept: Snapshot) -> None:
    assert kept.saved(project) is None
    home = project.cache / "snapshots" / f"0123-{kept.clone().key}"
    other = home.with_name("0123-another")
    home.mkdir(parents=True)
    other.mkdir()
    assert kept.saved(project) == home
    snapshots.drop(project, "base")
    assert not home.exists() and other.exists()
    assert list(snapshots.all_of(project)) == []

# SPDX-License-Identifier: GPL-2.0-only
"""``--hold-host``: which edits leave the lab host with the last good kernel."""

from __future__ import annotations

import json

import pytest

from kvm.kernel import identity, tree
from kvm.kernel.build import Kernel, stored
from kvm.kernel.toolchain import Toolchain
from kvm.run import held, proven
from support.checkout import FILES, Checkout

_DRIVER, _OTHER = "drivers/block/virtio_blk.c", "virt/kvm/kvm_main.c"
_CONFIG = "CONFIG_KVM=m\n"


@pytest.fixture
def history(checkout: Checkout) -> Checkout:
    checkout.repin("6.12.2", {**FILES, _DRIVER: "int disks;\n", _OTHER: "int guests;\n"})
    return checkout


def _built(checkout: Checkout, config: str = _CONFIG) -> Kernel:
    """A kernel of the tree as it is now, as far as the cache tells of it."""
    source = identity.source_id(tree.prepare(checkout.project, lambda text: None)).tree
    name = identity.kernel_id(source, config, Toolchain.from_environment().identity())
    folder = checkout.project.cache / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vmlinux").touch()
    (folder / "config").write_text(config)
    meta = {"release": "6.12.2", "source": source, "id": name, "image": name}
    (folder / "meta.json").write_text(json.dumps(meta))
    return stored(folder, "default")


def _edit(checkout: Checkout, name: str) -> None:
    with (checkout.tree / name).open("a") as file:
        file.write("int edited;\n")


def _host_kernel(checkout: Checkout, kernel: Kernel) -> tuple[Kernel | None, str]:
    notes: list[str] = []
    found = held.host_kernel(checkout.project, kernel, notes.append)
    return found, "\n".join(notes)


def test_a_guests_driver_leaves_the_lab_host_as_it_is(history: Checkout) -> None:
    good = _built(history)
    proven.record(history.project, good, 1.0)
    _edit(history, _DRIVER)
    found, note = _host_kernel(history, _built(history))
    assert found == good
    assert good.label in note


@pytest.mark.parametrize("name", [_OTHER, "include/uapi/linux/kvm.h", "init/main.c"])
def test_what_the_lab_host_runs_too_is_run_by_it(history: Checkout, name: str) -> None:
    proven.record(history.project, _built(history), 1.0)
    _edit(history, _DRIVER)
    _edit(history, name)
    found, note = _host_kernel(history, _built(history))
    assert found is None
    assert f"{name} may reach it" in note


def test_another_config_is_another_kvm(history: Checkout) -> None:
    proven.record(history.project, _built(history, "CONFIG_KVM=y\n"), 1.0)
    _edit(history, _DRIVER)
    found, note = _host_kernel(history, _built(history))
    assert found is None
    assert "another config or compiler" in note


def test_a_source_that_git_has_forgotten_proves_nothing(history: Checkout) -> None:
    source = "0" * 40
    name = identity.kernel_id(source, _CONFIG, Toolchain.from_environment().identity())
    good = _built(history)
    meta = json.loads((good.folder / "meta.json").read_text())
    forgotten = good.folder.with_name(name)
    good.folder.rename(forgotten)
    (forgotten / "meta.json").write_text(json.dumps(meta | {"id": name, "source": source}))
    proven.record(history.project, stored(forgotten, "default"), 1.0)
    found, note = _host_kernel(history, _built(history))
    assert found is None
    assert "no longer has the source" in note


def test_without_a_good_kernel_there_is_none_to_hold(history: Checkout) -> None:
    found, note = _host_kernel(history, _built(history))
    assert found is None
    assert "no good kernel yet" in note


def test_the_good_kernel_itself_needs_no_word(history: Checkout) -> None:
    good = _built(history)
    proven.record(history.project, good, 1.0)
    assert _host_kernel(history, good) == (None, "")

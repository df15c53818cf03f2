# SPDX-License-Identifier: GPL-2.0-only
"""A viewer sees what the guest draws, and the guest gets the viewer's keys and pointer."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from kvm.control import client
from kvm.errors import UserError
from kvm.guest.build import build_exercise
from kvm.guest.initramfs import ExtraFile, build_initramfs
from kvm.project import Project
from support.machines import Boot
from support.meanwhile import meanwhile
from support.rfb import Viewer, pattern_row

pytestmark = pytest.mark.lab

NAME = f"display-test-{os.getpid()}"  # these tests may run side by side
LINE, LINE_PIXEL = 5, (0xABCDEF).to_bytes(4, "little")
_DEADLINE_S = 60.0


def see(viewer: Viewer, row: int, wanted: bytes) -> None:
    """Update until the row is as wanted."""
    end = time.monotonic() + _DEADLINE_S
    viewer.look()
    while viewer.row(row) != wanted:
        assert time.monotonic() < end, (viewer.row(row)[:32], wanted[:32])
        viewer.look(incremental=True)


@pytest.mark.parametrize(
    ("transport", "password"), [("mmio", ""), ("pci", "s3cret")], ids=["mmio-unix", "pci-tcp"]
)
def test_a_viewer_sees_and_is_heard(
    boot: Boot, project: Project, tmp_path: Path, transport: str, password: str
) -> None:
    width, height = 320, 200
    secret = tmp_path / "secret"
    secret.write_text(password)
    secret.chmod(0o600)

    def act(facts: dict[str, str]) -> None:
        place = facts["vnc"]
        if password:
            with pytest.raises(PermissionError):
                Viewer(place, "guess")
        with Viewer(place, password) as viewer, Viewer(place, password) as other:
            assert (viewer.width, viewer.height) == (width, height)
            see(viewer, height - 1, pattern_row(height - 1, width))
            assert all(viewer.row(y) == pattern_row(y, width) for y in range(height))
            viewer.key(ord("a"), down=True)
            viewer.key(ord("a"), down=False)
            viewer.point(65535, 65535)
            viewer.point(100, 50)
            viewer.point(100, 50, buttons=1)
            see(viewer, LINE, width * LINE_PIXEL)
            see(other, LINE, width * LINE_PIXEL)

    exercise = build_exercise(project)
    run = meanwhile(
        NAME,
        act,
        lambda: boot(
            *("sh", "-c", f"exercise screen {width} {height} && sleep 3"),
            name=NAME,
            vnc=f"127.0.0.1:auto,password={secret}" if password else "auto",
            display=f"{width}x{height}",
            transport=transport,
            initrd=build_initramfs(project, files=(ExtraFile(exercise, "/bin/exercise"),)),
        ),
    )
    assert run.verdict == ("PASS", "ok"), run
    assert b"not ok" not in run.stdout
    assert run.record.run_dir is not None
    kept = [path.read_text(errors="replace") for path in run.record.run_dir.iterdir()]
    assert not password or not any(f'"{password}"' in text for text in kept)


def test_a_display_that_nobody_looks_at_costs_nothing(boot: Boot) -> None:
    with_it = boot("true", vnc="auto")
    without = boot("true")
    assert with_it.verdict == without.verdict == ("PASS", "ok")
    # Its two input devices are found and set up.
    assert with_it.record.exits.total < without.record.exits.total + 600


def test_a_port_in_use_is_said(boot: Boot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--vnc 127.0.0.1:{port}: "):
            boot("true", vnc=str(port))
    with pytest.raises(UserError, match="no machine called"):
        client.ask(NAME, "stat")

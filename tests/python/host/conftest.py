# SPDX-License-Identifier: GPL-2.0-only
"""A fake VMM, and a client of an agent that runs on this machine."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvm.host.channel import Channel
from support.agent_client import Client, start_agent
from support.fake_vmm import make_artifact


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return make_artifact(tmp_path / "artifact")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    path = tmp_path / "agent.sock"
    children: list[subprocess.Popen[bytes]] = []
    found: list[Client] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = threading.Thread(
            target=lambda: children.append(start_agent(listener.accept()[0])), daemon=True
        )
        server.start()
        ends = time.monotonic() + 20
        channel = Channel.connect(
            path,
            tmp_path / "heartbeat",
            late=lambda: time.monotonic() >= ends,
            on_message=lambda message: found[0].hear(message) if found else None,
            on_closed=lambda: None,
        )
        server.join(20)
    found.append(Client(channel))
    try:
        yield found[0]
    finally:
        channel.close()
        for child in children:
            child.kill()
            child.wait(10)

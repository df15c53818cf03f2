# SPDX-License-Identifier: GPL-2.0-only
"""Runs a lab host's agent as a process on this machine, with a client that records its messages."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import kvm
from kvm.host.channel import Channel, Message

PACKAGE_ROOT = str(Path(kvm.__file__).parents[1])
_AGENT = """
import sys
from kvm.host.inside.agent import Agent
from kvm.host.inside.launch import Bundle
Agent(int(sys.argv[1]), 60, lambda bundle: bundle and Bundle(bundle).install()).run()
"""


def start_agent(end: socket.socket) -> subprocess.Popen[bytes]:
    """Start an agent that serves this end; the caller reaps it."""
    child = subprocess.Popen(
        (sys.executable, "-S", "-c", _AGENT, str(end.fileno())),
        pass_fds=(end.fileno(),),
        env={**os.environ, "PYTHONPATH": PACKAGE_ROOT},
    )
    end.close()
    return child


@dataclass
class Client:
    """A channel to an agent, with the reports that the agent sent unrequested."""

    channel: Channel
    messages: list[Message] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, message: Message) -> None:
        with self.arrived:
            self.messages.append(message)
            self.arrived.notify_all()

    def wait_for(self, wanted: Callable[[Message], bool], timeout_s: float = 20) -> Message:
        deadline = time.monotonic() + timeout_s
        with self.arrived:
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                assert self.arrived.wait(max(deadline - time.monotonic(), 0)), self.messages

    def wait_exit(self, session: int) -> int:
        message = self.wait_for(lambda m: m.get("session") == session and "exit" in m)
        return int(message["exit"])

    def said(self, session: int, kind: str) -> list[object]:
        return [m[kind] for m in self.messages if m.get("session") == session and kind in m]

    def start(self, session: int, artifact: Path, mode: str, **extra: object) -> None:
        line = f'{{"spec": {{}}, "run": {{"argv": ["{mode}"]}}}}'
        fields = {"artifact": str(artifact), "bundle": None, "cwd": "/", "input": line, **extra}
        self.channel.request("start", 20, session=session, **fields)

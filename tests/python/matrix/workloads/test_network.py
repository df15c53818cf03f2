# SPDX-License-Identifier: GPL-2.0-only
"""The streams' ports are free ones: cells run beside each other on one machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kvm.matrix.workloads import exercise, network
from kvm.project import Project
from kvm.spec.network import NetSpec


class Asked(Exception):
    """What the workload asked of its bench."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls net_tcp, and returns what it would boot with."""

    def run(bench: object, script: str, **wants: object) -> None:
        raise Asked(script, wants)

    monkeypatch.setattr(exercise, "run", run)
    monkeypatch.setattr(network, "build_exercise", lambda project: Path("exercise"))
    bench: Any = SimpleNamespace(seed=1, project=Project.find(), folder=Path("attempt1"))

    def ask() -> tuple[str, dict[str, Any]]:
        with pytest.raises(Asked) as found:
            network.net_tcp(bench)
        script, wants = found.value.args
        return str(script), dict(wants)

    return ask


def test_two_cells_at_once_share_no_port(asked: Any) -> None:
    taken: list[int] = []
    for _ in range(2):
        script, wants = asked()
        (net,) = wants["nets"]
        (forward,) = net.forwards
        to_host = next(word for word in script.split() if word.startswith("tcp:10.0.2.2:"))
        taken += [forward.host_port, int(to_host.rpartition(":")[2])]
    assert len(set(taken)) == len(taken)


def test_both_ends_of_a_stream_name_the_same_port(asked: Any) -> None:
    script, wants = asked()
    server, client = (" ".join(words) for words in wants["beside"])
    (net,) = wants["nets"]
    assert isinstance(net, NetSpec)
    (forward,) = net.forwards
    assert f"tcp:127.0.0.1:{forward.host_port} " in client
    assert f"stream-serve tcp:0.0.0.0:{forward.guest_port};" in script
    port = server.rpartition(":")[2]
    assert f"tcp:10.0.2.2:{port} " in script

# SPDX-License-Identifier: GPL-2.0-only
"""KVM in the image itself, which starts while the lab host boots.

It builds a whole kernel, so it runs only on request:
``TOOLSKVM_BUILTIN_KVM=1 ./invoke test -n 1 -- tests/boot/test_builtin_kvm.py``.
"""

from __future__ import annotations

import os

import pytest

from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import halves
from support.machines import Boot

_KERNEL_BUILD_S = 1500
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(_KERNEL_BUILD_S),
    pytest.mark.skipif(
        os.environ.get("TOOLSKVM_BUILTIN_KVM") != "1",
        reason="builds a whole kernel: set TOOLSKVM_BUILTIN_KVM=1",
    ),
]


def test_it_hosts_a_guest_each_time(boot: Boot, project: Project) -> None:
    with Progress(live=False) as progress:  # before any boot's own deadline counts
        kernel = halves.build(project, progress, config="builtin").kernel
    assert kernel.modules == ()
    for _ in range(2):
        run = boot("sh", "-c", "ls /proc/modules || echo none", config="builtin")
        assert run.verdict == ("PASS", "ok"), run
        assert run.stdout == b"none\n"

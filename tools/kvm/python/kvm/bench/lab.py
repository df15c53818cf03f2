# SPDX-License-Identifier: GPL-2.0-only
"""Starts the part of a bench that runs in the lab host, and takes its answer."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvm.errors import InfrastructureError
from kvm.output.progress import Progress
from kvm.project import Project
from kvm.run import hosts
from kvm.run.halves import Halves
from kvm.run.hosts import Wanted

# The compiled VMM's Python first, then ours for ``kvm.bench``, which is not in it.
_START = (
    "import importlib, json, sys; name, artifact, source, job = sys.argv[1:]; "
    "sys.path.insert(0, artifact); import kvm; kvm.__path__.append(source); "
    "importlib.import_module(name).main(json.loads(job))"
)


def ask(
    project: Project,
    progress: Progress,
    built: Halves,
    module: str,
    job: Mapping[str, Any],
    *,
    title: str,
    timeout_s: float,
) -> Any:
    """Run ``main(job)`` of a module of ``kvm.bench.inside``; return the JSON it printed last."""
    with progress.phase("lab host") as say:
        host = hosts.connect(project, Wanted("lab"), built, say, patient=True).host
    try:
        with progress.phase(title) as say:
            source = Path(__file__).parents[1]
            # -S: site's hooks would put an editable install before the artifact, and build it.
            words = (
                *(os.path.realpath(sys.executable), "-I", "-S", "-c", _START),
                *(f"kvm.bench.inside.{module}", built.vmm.folder, source, json.dumps(job)),
            )
            code, output = host.run_command(words, on_output=say, timeout_s=timeout_s)
    finally:
        host.close()
    if code != 0:
        raise InfrastructureError(f"the bench did not finish in the lab host:\n{output[-2000:]}")
    return json.loads(output.strip().splitlines()[-1])

# SPDX-License-Identifier: GPL-2.0-only
"""The ``doctor`` command: examines the machine, with a probe guest if a VMM has been built."""

from __future__ import annotations

from kvm import doctor
from kvm.errors import UserError
from kvm.host import labs
from kvm.host.choose import ProbeResult, kvm_probe
from kvm.kernel import headers
from kvm.output import targets
from kvm.project import Project
from kvm.vm.build import vmm_id


def report(project: Project, *, json_target: str = "") -> int:
    """Examine and report; return 0 if build-and-boot can work here."""

    def probe() -> ProbeResult:
        uapi = headers.installed(project)
        artifact = project.cache / "vmm" / vmm_id(project, uapi) if uapi else None
        if artifact is None or not artifact.exists():
            raise UserError("the VMM is not built; run ./invoke build first")
        return kvm_probe(artifact, project.cache)

    def lab_status() -> str | None:
        return "; ".join(str(one) for one in labs.statuses(project)) or None

    with targets.opened(json_target) as out:
        found = doctor.collect(project, probe, lab_status)
        code = found.exit_code if json_target == targets.STDOUT else doctor.show(found)
        if json_target:
            out.put(json_target, doctor.text(found))
        return out.exit_code(code)

# SPDX-License-Identifier: GPL-2.0-only
"""The environment that describes the machine to a payload."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvm.errors import UserError
from kvm.run.payload.machine import command_line, environment, payload_spec
from kvm.run.payload.options import PayloadOptions
from kvm.spec.machine import MachineSpec


@pytest.fixture
def options(tmp_path: Path) -> PayloadOptions:
    file = tmp_path / "msr.flat"
    file.write_bytes(b"\xf4")
    return PayloadOptions(file, vcpus=3, memory_mib=512, append="one two")


def test_the_environment_has_what_fw_cfg_would_be_asked_for(options: PayloadOptions) -> None:
    assert environment(options).splitlines() == ["NR_CPUS=3", "MEMSIZE=512", "TEST_DEVICE=1"]


def test_the_command_line_begins_with_a_name_unless_a_loader_took_it(
    options: PayloadOptions,
) -> None:
    assert command_line(options, "NR_CPUS=1\n") == "msr.flat one two"
    assert command_line(options, "NR_CPUS=1\nBOOTLOADER=1\n") == "one two"


def test_the_spec_is_a_payloads_and_survives_its_json(options: PayloadOptions) -> None:
    module = options.file.with_name("env")
    module.write_text(environment(options))
    spec = payload_spec(options, module, environment(options))
    assert spec.payload and not spec.rng and spec.guest_events == "none"
    assert MachineSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"host": "moon"}, "--host moon"),
        ({"protocol": "efi"}, "--protocol efi"),
        ({"vcpus": 0}, "--cpus 0"),
        ({"timeout_s": 0.0}, "--timeout 0"),
        ({"environment": Path("/nonexistent/env")}, "module /nonexistent/env"),
        ({"file": Path("/nonexistent/x.flat")}, "payload /nonexistent/x.flat"),
    ],
)
def test_a_bad_value_is_named(
    options: PayloadOptions, change: dict[str, object], named: str
) -> None:
    from dataclasses import replace

    with pytest.raises(UserError, match=named):
        replace(options, **change).check()  # type: ignore[arg-type]


def test_a_run_can_be_repeated_from_its_arguments(options: PayloadOptions) -> None:
    words = options.arguments()
    assert words == f"{options.file} --cpus=3 --memory=512M '--append=one two'"

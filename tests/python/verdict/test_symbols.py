# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from kvm.verdict.symbols import SystemMap

_MAP = """\
0000000000000000 D __per_cpu_start
0000000000001000 D cpu_debug_store
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000040 T startup_64
ffffffff81000100 t kvm_run
ffffffff81000180 T kvm_stop
ffffffff81bd5f98 b __log_buf
ffffffff81bf5fa0 b clear_seq
ffffffff81e18000 B _end
"""


@pytest.fixture
def system_map(tmp_path: Path) -> SystemMap:
    path = tmp_path / "System.map"
    path.write_text(_MAP)
    return SystemMap(path)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (0xFFFFFFFF81000100, "kvm_run+0x0/0x80"),
        (0xFFFFFFFF8100017F, "kvm_run+0x7f/0x80"),
        (0xFFFFFFFF81000000, "_stext+0x0/0x40"),
        (0x1000044, "startup_64+0x4/0xc0 (physical)"),
        (0xFFFFFFFF81E18000, "0xffffffff81e18000"),
        (0x7F0000001000, "0x7f0000001000 (user)"),
        (0, "0x0"),
        (0xFFFF888000000000, "0xffff888000000000"),
    ],
)
def test_symbolize(system_map: SystemMap, address: int, text: str) -> None:
    assert system_map.symbolize(address) == text


def test_address_of_wants_the_whole_name(system_map: SystemMap) -> None:
    assert system_map.address_of("kvm_run") == 0xFFFFFFFF81000100
    assert system_map.address_of("kvm_ru") is None
    assert system_map.address_of("vm_run") is None
    assert system_map.address_of("__per_cpu_start") == 0


def test_log_buf_is_physical_and_a_power_of_two(system_map: SystemMap) -> None:
    assert system_map.log_buf() == (0x1BD5F98, 0x20000)


def test_without_the_file_numbers_stay_numbers(tmp_path: Path) -> None:
    missing = SystemMap(tmp_path / "System.map")
    assert missing.symbolize(0xFFFFFFFF81000100) == "0xffffffff81000100"
    assert missing.log_buf() is None


def test_damaged_map_is_read_as_far_as_it_makes_sense(tmp_path: Path) -> None:
    path = tmp_path / "System.map"
    path.write_bytes(b"garbage\n\xff\xfe\nffffffff8100000g T bad\n" + _MAP.encode())
    assert SystemMap(path).symbolize(0xFFFFFFFF81000101) == "kvm_run+0x1/0x80"

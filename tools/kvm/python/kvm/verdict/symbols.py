# SPDX-License-Identifier: GPL-2.0-only
"""Addresses to names and back, from a kernel's System.map.

Nothing is read until needed: finding one name scans the bytes, and only an address look-up
parses the file (some 30 ms for 100,000 symbols).
It is valid for a kernel that KASLR did not move (``nokaslr`` or no RANDOMIZE_BASE).
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

# arch/x86 __START_KERNEL_map: kernel text and data are mapped here, physical address 0 first.
START_KERNEL_MAP = 0xFFFFFFFF80000000
_KERNEL_MAP_SIZE = 1 << 30
_USER_LIMIT = 1 << 47
_LINE = re.compile(rb"^(ffffffff[0-9a-f]{8}) \S (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class _Table:
    addresses: list[int]
    names: list[str]


class SystemMap:
    """One System.map."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def address_of(self, name: str) -> int | None:
        address, _ = self._find(name)
        return address

    def _find(self, name: str) -> tuple[int | None, int]:
        """Its address, and where the line behind it begins."""
        data = self._data
        needle = b" " + name.encode() + b"\n"
        at = data.find(needle)
        if at < 0:
            return None, len(data)
        start = data.rfind(b"\n", 0, at) + 1
        return _address(data[start:at].split(b" ", 1)[0]), at + len(needle)

    def lookup(self, address: int) -> Symbol | None:
        """The kernel symbol that covers an address."""
        table = self._table
        index = bisect.bisect_right(table.addresses, address) - 1
        if index < 0 or index + 1 >= len(table.addresses):
            return None  # before the first symbol, or at or after the last (_end)
        start = table.addresses[index]
        return Symbol(table.names[index], start, table.addresses[index + 1] - start)

    def symbolize(self, address: int) -> str:
        """``func+0x12/0x80``; a plain hexadecimal number if no symbol covers it.

        Before the kernel has its page tables, code runs at physical addresses, which are marked.
        """
        symbol = self.lookup(address)
        if symbol:
            return _format(symbol, address)
        if address < _KERNEL_MAP_SIZE:
            symbol = self.lookup(address + START_KERNEL_MAP)
            if symbol:
                return f"{_format(symbol, address + START_KERNEL_MAP)} (physical)"
        return f"{address:#x} (user)" if 0 < address < _USER_LIMIT else f"{address:#x}"

    def log_buf(self) -> tuple[int, int] | None:
        """Guest-physical address and length of ``__log_buf``.

        Its length is a power of two (1 << CONFIG_LOG_BUF_SHIFT), so it is the largest that fits
        before the next symbol.
        """
        address, end = self._find("__log_buf")
        if address is None:
            return None
        # The file has its addresses in order (nm -n); several names may have the same one.
        behind = (int(line[1], 16) for line in _LINE.finditer(self._data, end))
        size = next((other for other in behind if other > address), address) - address
        return (address - START_KERNEL_MAP, 1 << (size.bit_length() - 1)) if size else None

    @cached_property
    def _data(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError:
            return b""  # names are optional: a run is judged without them

    @property
    def _table(self) -> _Table:
        return _parsed(self._data)


@lru_cache(maxsize=2)
def _parsed(data: bytes) -> _Table:
    """Sorted addresses of the kernel map (without per-CPU offsets), one name each."""
    names: dict[bytes, bytes] = {}
    for address, name in _LINE.findall(data):
        names.setdefault(address, name)
    digits = sorted(names)  # all of the same length
    addresses = [int(address, 16) for address in digits]
    return _Table(addresses, [names[address].decode(errors="replace") for address in digits])


def _address(digits: bytes) -> int | None:
    try:
        return int(digits, 16)
    except ValueError:
        return None


def _format(symbol: Symbol, address: int) -> str:
    return f"{symbol.name}+{address - symbol.address:#x}/{symbol.size:#x}"

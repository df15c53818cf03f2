# SPDX-License-Identifier: GPL-2.0-only
"""Makes and reads qcow2 images for workloads and tests, independently of the VMM's code.

It supports only what the VMM writes: version 3, 16-bit refcounts, no compression or snapshots.
"""

from __future__ import annotations

import struct
from pathlib import Path

CLUSTER = 65536
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_FORMAT = 0xE2792ACA  # the header extension with the backing file's format
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_ZERO, _COMPRESSED, _COPIED = 1, 1 << 62, 1 << 63


def create(path: Path, size: int, backing: Path | None = None) -> None:
    """Make an empty image of ``size`` bytes, on top of a raw file if one is given."""
    header_bytes = _HEADER.size
    extension = struct.pack(">II8sQ", _FORMAT, 3, b"raw", 0) if backing else bytes(8)
    name = str(backing).encode() if backing else b""
    l1_entries = -(-size // (CLUSTER * CLUSTER // 8))
    header = _HEADER.pack(
        *(b"QFI\xfb", 3, header_bytes + len(extension) if name else 0, len(name)),
        *(16, size, 0, l1_entries, 3 * CLUSTER, CLUSTER, 1, 0, 0),
        *(0, 0, 0, 4, header_bytes),
    )
    with path.open("wb") as image:
        image.write(header + extension + name)
        image.seek(CLUSTER)
        image.write(struct.pack(">Q", 2 * CLUSTER))
        image.seek(2 * CLUSTER)
        image.write(struct.pack(">4H", 1, 1, 1, 1))
        image.truncate(4 * CLUSTER)


def content(path: Path, backing: bytes = b"") -> bytes:
    """The disk's content. Raises ``ValueError`` if the image contradicts itself."""
    image = path.read_bytes()
    size, l1_entries, l1_offset = (
        *struct.unpack_from(">Q", image, 24),
        *struct.unpack_from(">IQ", image, 36),
    )
    disk = bytearray(backing[:size].ljust(size, b"\0"))
    places: list[int] = []
    for number, table in enumerate(_entries(image, l1_offset, l1_entries)):
        if table == 0:
            continue
        places.append(table & _OFFSET)
        for index, entry in enumerate(_entries(image, table & _OFFSET, CLUSTER // 8)):
            start = (number * (CLUSTER // 8) + index) * CLUSTER
            if entry & _COMPRESSED:
                raise ValueError(f"compressed cluster {entry:#x}")
            if entry & _ZERO:
                disk[start : start + CLUSTER] = bytes(min(CLUSTER, size - start))
            elif entry:
                places.append(entry & _OFFSET)
                data = image[entry & _OFFSET :][:CLUSTER].ljust(CLUSTER, b"\0")
                disk[start : start + CLUSTER] = data[: size - start]
    _check_counts(image, places)
    return bytes(disk)


def _entries(image: bytes, offset: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f">{count}Q", image, offset)


def _check_counts(image: bytes, places: list[int]) -> None:
    """Check that each place belongs to one cluster and is counted once."""
    if len(set(places)) < len(places):
        raise ValueError("two clusters lie in one place")
    table = struct.unpack_from(">Q", image, 48)[0]
    per_block = CLUSTER // 2
    for place in places:
        cluster = place // CLUSTER
        block = struct.unpack_from(">Q", image, table + 8 * (cluster // per_block))[0]
        place_in_block = block + 2 * (cluster % per_block)
        count = struct.unpack_from(">H", image, place_in_block)[0] if block else 0
        if count != 1:
            raise ValueError(f"the cluster at {place} is counted {count} times")

# SPDX-License-Identifier: GPL-2.0-only
"""Records of guest events are decoded as they come, whatever the guest put in them."""

from __future__ import annotations

import struct

from kvm.guest.events import Batch, EventDecoder, GuestEvent


def record(*events: tuple[int, int, int, bytes], sent_ns: int = 7) -> bytes:
    head = struct.pack("<QQQII", 1000, sent_ns, 2, len(events), 3)
    return head + b"".join(struct.pack("<QIi48s", *event) for event in events)


def decode(*chunks: bytes) -> list[Batch]:
    decoder = EventDecoder()
    return [batch for chunk in chunks for batch in decoder.feed(chunk)]


def test_a_batch_has_its_clocks_counts_and_events() -> None:
    (batch,) = decode(record((5, 2, 0, b"virtio_init\0junk"), (9, 3, -19, b"virtio_init")))
    assert (batch.received_ns, batch.sent_ns, batch.lost, batch.refused) == (1000, 7, 2, 3)
    assert batch.events == (
        GuestEvent(5, "initcall_start", 0, "virtio_init"),
        GuestEvent(9, "initcall_finish", -19, "virtio_init"),
    )


def test_bytes_may_come_one_by_one_and_many_at_once() -> None:
    data = record((1, 1, 0, b"early")) + record() + record((2, 8, 4, b"mark"))
    assert decode(*(bytes([byte]) for byte in data)) == decode(data)
    assert [len(batch.events) for batch in decode(data)] == [1, 0, 1]


def test_names_are_made_printable_and_unknown_kinds_kept() -> None:
    (batch,) = decode(record((0, 99, 0, b"\x1b[31m\xff\n<b>" + b"a" * 48)))
    (event,) = batch.events
    assert event.kind == "unknown"
    assert event.name.isprintable()
    assert "<b>" in event.name

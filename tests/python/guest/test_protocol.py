# SPDX-License-Identifier: GPL-2.0-only
"""Frames survive any cutting of the stream; nothing a guest sends breaks the decoder."""

from __future__ import annotations

import random
import struct

import pytest

from kvm.guest.protocol import (
    MAGIC,
    MAX_PAYLOAD,
    ExitStatus,
    Frame,
    FrameDecoder,
    FrameType,
    decode_exit,
    encode,
    encode_run,
    encode_signal,
    encode_stdin,
    encode_winsize,
    parse_hello,
)

HELLO = encode(FrameType.HELLO, b"protocol=1\n")


def synchronised() -> FrameDecoder:
    decoder = FrameDecoder()
    assert decoder.feed(MAGIC) == []
    return decoder


def test_frames_round_trip_whatever_the_cutting() -> None:
    sent = [
        Frame(FrameType.HELLO, b"a=b\n"),
        Frame(FrameType.STDOUT, bytes(range(256)) * 17),
        Frame(FrameType.STDERR, b""),
        Frame(FrameType.STDOUT, MAGIC * 3),
        Frame(FrameType.EXIT, struct.pack("<ii", 7, 0)),
    ]
    stream = MAGIC + b"".join(encode(*frame) for frame in sent)
    for seed in range(50):
        chance = random.Random(seed)
        decoder, got, at = FrameDecoder(), [], 0
        while at < len(stream):
            step = chance.choice((1, 2, 5, 100, 4096))
            got += decoder.feed(stream[at : at + step])
            at += step
        assert got == sent, f"seed {seed}"
        assert decoder.skipped == 0, f"seed {seed}"


def test_garbage_before_magic_is_skipped() -> None:
    noise = b"\r\nSeaBIOS\0TKV" + bytes(range(256))
    decoder = FrameDecoder()
    assert decoder.feed(noise) == []
    assert not decoder.synchronised
    assert decoder.feed(MAGIC + HELLO) == [Frame(FrameType.HELLO, b"protocol=1\n")]
    assert decoder.skipped == len(noise)


def test_magic_between_frames_means_nothing() -> None:
    frames = synchronised().feed(HELLO + MAGIC + MAGIC + HELLO)
    assert [frame.type for frame in frames] == [FrameType.HELLO, FrameType.HELLO]


def test_part_of_magic_between_frames_waits_for_the_rest() -> None:
    decoder = synchronised()
    for byte in MAGIC:
        assert decoder.feed(bytes((byte,))) == []
    assert len(decoder.feed(HELLO)) == 1


@pytest.mark.parametrize(
    "header", [struct.pack("<BI", 2, MAX_PAYLOAD + 1), struct.pack("<BI", 99, 3)]
)
def test_impossible_header_is_reported_and_the_stream_found_again(header: bytes) -> None:
    frames = synchronised().feed(HELLO + header + b"junk" + MAGIC + HELLO)
    assert [frame.type for frame in frames] == [FrameType.HELLO, FrameType.ERROR, FrameType.HELLO]
    assert b"corrupt" in frames[1].payload


def test_random_bytes_never_raise_and_never_pile_up() -> None:
    for seed in range(100):
        chance = random.Random(seed)
        decoder = FrameDecoder()
        decoder.feed(MAGIC if seed % 2 else b"")
        for _ in range(20):
            decoder.feed(chance.randbytes(5000))
        assert len(decoder._buffer) <= MAX_PAYLOAD + 5, f"seed {seed}"


def test_largest_payload_passes_and_a_larger_one_is_refused() -> None:
    biggest = bytes(MAX_PAYLOAD)
    assert synchronised().feed(encode(FrameType.STDOUT, biggest))[0].payload == biggest
    with pytest.raises(ValueError, match="65537"):
        encode(FrameType.STDOUT, biggest + b"x")


def test_stdin_is_cut_into_frames() -> None:
    data = random.Random(1).randbytes(2 * MAX_PAYLOAD + 10)
    frames = synchronised().feed(encode_stdin(data))
    assert [len(frame.payload) for frame in frames] == [MAX_PAYLOAD, MAX_PAYLOAD, 10]
    assert b"".join(frame.payload for frame in frames) == data
    assert encode_stdin(b"") == b""


def test_run_carries_empty_words_and_environment() -> None:
    (frame,) = synchronised().feed(encode_run(["sh", "", "ä"], {"K": "v w"}, True, 50, 132))
    assert frame.type is FrameType.RUN
    assert struct.unpack_from("<IHHI", frame.payload) == (1, 50, 132, 3)
    assert frame.payload[12:] == b"sh\0\0\xc3\xa4\0K=v w\0"


@pytest.mark.parametrize("argv", [[], [""], ["a\0b"]])
def test_run_refuses_what_a_guest_could_not_run(argv: list[str]) -> None:
    with pytest.raises(ValueError):
        encode_run(argv)


def test_small_payloads() -> None:
    frames = synchronised().feed(encode_winsize(24, 80) + encode_signal(15))
    assert frames == [
        Frame(FrameType.WINSIZE, b"\x18\0\x50\0"),
        Frame(FrameType.SIGNAL, b"\x0f\0\0\0"),
    ]
    assert parse_hello(b"cpus=2\nrelease=6.12=x\nnoise\n") == {"cpus": "2", "release": "6.12=x"}
    assert decode_exit(struct.pack("<ii", 137, 9)) == ExitStatus(137, 9)
    with pytest.raises(ValueError, match="3 bytes"):
        decode_exit(b"abc")

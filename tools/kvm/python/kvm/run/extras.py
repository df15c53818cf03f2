# SPDX-License-Identifier: GPL-2.0-only
"""Settings of a boot that only a caller in Python, such as the matrix, can make."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kvm.guest.initramfs import ExtraFile
from kvm.host.base import Host, Session
from kvm.host.snapshot import BootedMachine
from kvm.run.drive import Live
from kvm.run.snapshots import Snapshot
from kvm.verdict.vocabulary import Reason

_CHUNK_BYTES = 48 * 1024
_CHUNKS_A_POLL = 5


@dataclass(frozen=True, slots=True)
class RunExtras:
    """``stdin`` of None is this process's own. ``kill_on``: the VMM is killed (SIGKILL) as soon
    as the command's stdout contains it. ``expected`` is the reason the run is meant to end with.
    ``bounded``: the deadline is the test's own, and a machine that had that much time and is not
    done has failed. ``beside`` are commands that run on the host, in the run's folder, as long as
    the machine does; their output is in ``beside.log`` there. ``known_warnings`` are signatures of
    WARNINGs that the test provokes, beside those of the user's file. ``machine`` is to be saved, or
    to go on from, and gets the boot's spec; ``snapshot`` is the user's that it is. ``repeat`` are
    the words that repeat the run, if they are not those of a boot. ``live`` gives the guest its
    commands, one after another, ``started`` its session and ``hosted`` its host; a ``rewindable``
    machine can be put back to a checkpoint."""

    files: tuple[ExtraFile, ...] = ()
    rng: bool = True
    stdin: bytes | None = None
    kill_on: bytes = b""
    expected: Reason | None = None
    bounded: bool = False
    beside: tuple[tuple[str, ...], ...] = ()
    known_warnings: frozenset[str] = frozenset()
    machine: BootedMachine | None = None
    snapshot: Snapshot | None = None
    repeat: str = ""
    live: Live | None = None
    started: Callable[[Session], None] = lambda session: None
    hosted: Callable[[Host], None] = lambda host: None
    rewindable: bool = False


class BytesInput:
    """Prepared standard input, in place of a ``Terminal``."""

    def __init__(self, data: bytes) -> None:
        starts = range(0, len(data), _CHUNK_BYTES)
        chunks = ({"stdin": _text(data[at : at + _CHUNK_BYTES])} for at in starts)
        self._messages: Iterator[dict[str, Any]] = itertools.chain(chunks, [{"stdin_eof": True}])

    def poll(self) -> list[dict[str, Any]]:
        """The next messages; the last one is end of file."""
        return list(itertools.islice(self._messages, _CHUNKS_A_POLL))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class StreamWatch:
    """Notices when a stream has contained ``words``; ``passes`` receives the bytes."""

    def __init__(self, words: bytes, passes: Callable[[bytes], None]) -> None:
        self._words = words
        self._passes = passes
        self._tail = b""
        self.seen = False

    def __call__(self, data: bytes) -> None:
        self._passes(data)
        if self._words and not self.seen:
            text = self._tail + data
            self.seen = self._words in text
            self._tail = text[-len(self._words) :]

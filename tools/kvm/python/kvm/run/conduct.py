# SPDX-License-Identifier: GPL-2.0-only
"""What a caller in Python, such as the matrix, asks of a boot beyond what a command line says."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kvm.guest.initramfs import ExtraFile
from kvm.verdict.vocabulary import Reason

# A multiple of 3: base64 without padding in the middle.
_CHUNK_BYTES = 48 * 1024


@dataclass(frozen=True, slots=True)
class Conduct:
    """``stdin`` of None is this process's own. ``kill_on``: the VMM is killed (SIGKILL) as soon
    as the command's stdout contains it. ``expected`` is the reason the run is meant to end with.
    ``beside`` are commands that run on the host while the machine does, in the run's folder; what
    they said is in ``beside.log`` there."""

    files: tuple[ExtraFile, ...] = ()
    rng: bool = True
    stdin: bytes | None = None
    kill_on: bytes = b""
    expected: Reason | None = None
    beside: tuple[tuple[str, ...], ...] = ()


class BytesInput:
    """Prepared standard input; stands where a ``Terminal`` would."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data

    def poll(self) -> list[dict[str, Any]]:
        """All of it at the first call, and its end."""
        if self._data is None:
            return []
        data, self._data = self._data, None
        chunks = (data[at : at + _CHUNK_BYTES] for at in range(0, len(data), _CHUNK_BYTES))
        messages: list[dict[str, Any]] = [
            {"stdin": base64.b64encode(chunk).decode()} for chunk in chunks
        ]
        return [*messages, {"stdin_eof": True}]


class Watch:
    """Tells when a stream has contained the given words; ``passes`` hands the bytes on."""

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

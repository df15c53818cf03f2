# SPDX-License-Identifier: GPL-2.0-only
"""Splits console bytes into clean lines: framing, escape sequences, printk prefixes.

Bytes come in chunks from a device; the result does not depend on how they were cut. Lines are
limited, so that a guest cannot fill the host's memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINE_BYTES = 4096  # four times what one printk record holds

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)
# kernel/printk/printk.c info_print_prefix(): "<6>" "[%5lu.%06lu]" "[%6s]" and one space.
_STAMP = r"\[ *\d+\.\d{6}\]"
_CALLER = r"\[ *(?P<caller>[TC]\d+)\]"
_PREFIX = re.compile(rf"(?:<\d{{1,3}}>)?{_STAMP}(?:{_CALLER})?(?: |$)")
_CALLER_ONLY = re.compile(rf"(?:<\d{{1,3}}>)?{_CALLER}(?: |$)")
_LEVEL_ONLY = re.compile(r"<\d{1,3}>")


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """``message`` is ``text`` without the printk prefix; ``stamped`` says whether it had one."""

    number: int
    text: str
    message: str
    caller: str
    stamped: bool


class LineSplitter:
    """Cuts a byte stream into ``ConsoleLine``s, numbered from 1."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._number = 0

    def feed(self, data: bytes) -> Iterator[ConsoleLine]:
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._keep(piece)
            yield from self._cut()
        self._keep(rest)

    def finish(self) -> Iterator[ConsoleLine]:
        """The last line, if the stream ended in the middle of one."""
        if self._partial:
            yield from self._cut()

    def _keep(self, piece: bytes) -> None:
        room = MAX_LINE_BYTES - len(self._partial)
        if room > 0:
            self._partial += piece[:room]

    def _cut(self) -> Iterator[ConsoleLine]:
        raw = self._partial.decode(errors="replace")
        self._partial.clear()
        self._number += 1
        # Progress output redraws itself with a lone \r: each drawing counts as a line.
        parts = [part for part in raw.split("\r") if part] or [""]
        for part in parts:
            yield parse_line(self._number, part)


def parse_line(number: int, raw: str) -> ConsoleLine:
    """Strip escapes and the printk prefix from one line.

    A prefix in the middle of a line means that the kernel printed while a process was writing
    to the same console: the text before it is the process's.
    """
    text = _ESCAPES.sub("", raw).rstrip()
    found = _PREFIX.search(text) or _CALLER_ONLY.match(text)
    if found:
        return ConsoleLine(number, text, text[found.end() :], found["caller"] or "", True)
    level = _LEVEL_ONLY.match(text)
    return ConsoleLine(number, text, text[level.end() :] if level else text, "", False)

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from kvm.run.drive import Control, Limits, Reader, SessionDriver, Sinks, Transcript
from support.session import Drives, Script


@pytest.fixture
def drive(tmp_path: Path) -> Drives:
    def run(
        session: Script,
        silence_s: float = 5.0,
        total_s: float = 20.0,
        control: Control | None = None,
        bounded: bool = False,
        reader: Reader | None = None,
    ) -> tuple[Transcript, bytes]:
        out = bytearray()
        sinks = Sinks(
            tmp_path / "console.log",
            out.extend,
            out.extend,
            lambda text: None,
            control=control,
            reader=reader,
        )
        return SessionDriver(session, sinks, Limits(silence_s, total_s, bounded)).run(), bytes(out)

    return run

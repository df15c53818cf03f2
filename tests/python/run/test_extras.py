# SPDX-License-Identifier: GPL-2.0-only
"""Prepared input comes in parts, complete and in order."""

from __future__ import annotations

import base64

from kvm.run.extras import BytesInput


def test_prepared_input_comes_in_parts_and_ends() -> None:
    data = bytes(range(256)) * 4096
    source = BytesInput(data)
    polls = [source.poll() for _ in range(10)]
    assert max(len(base64.b64decode(m.get("stdin", ""))) for p in polls for m in p) < 64 * 1024
    assert all(len(poll) <= 5 for poll in polls)
    messages = [message for poll in polls for message in poll]
    assert b"".join(base64.b64decode(m["stdin"]) for m in messages[:-1]) == data
    assert messages[-1] == {"stdin_eof": True}
    assert source.poll() == []


def test_no_input_is_its_end_alone() -> None:
    assert BytesInput(b"").poll() == [{"stdin_eof": True}]

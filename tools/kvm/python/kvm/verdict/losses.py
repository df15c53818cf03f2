# SPDX-License-Identifier: GPL-2.0-only
"""Adds notes to a verdict on bytes and time lost for which the code under test is not to blame."""

from __future__ import annotations

from dataclasses import replace

from kvm.verdict.observation import Observation
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

_NOTEWORTHY_S = 0.5


def with_losses(obs: Observation, outcome: Outcome) -> Outcome:
    """The outcome with notes on losses; output that was not read is no pass."""
    for remark in (_flood, _late_reader, _unread):
        outcome = remark(obs, outcome)
    return outcome


def _flood(obs: Observation, outcome: Outcome) -> Outcome:
    """Note that all of the console was parsed, but not all of it kept."""
    if not obs.console_dropped_bytes:
        return outcome
    dropped = f"{obs.console_dropped_bytes / (1 << 20):.1f} MiB"
    return replace(
        outcome,
        summary=f"{outcome.summary}; the console was flooded, its last {dropped} were not kept",
        evidence=(
            *outcome.evidence,
            Evidence("flood", (f"{dropped} of console output were read and not kept",)),
        ),
    )


def _late_reader(obs: Observation, outcome: Outcome) -> Outcome:
    """Note the time for which the reader of the output kept the machine waiting."""
    if obs.reader_s < _NOTEWORTHY_S or outcome.reason is not Reason.TIMEOUT:
        return outcome
    waited = f"{obs.reader_s:.0f} s of that the output waited for its reader"
    return replace(outcome, verdict=Verdict.ERROR, summary=f"{outcome.summary}; {waited}")


def _unread(obs: Observation, outcome: Outcome) -> Outcome:
    if not obs.unread_bytes:
        return outcome
    lost = f"the last {obs.unread_bytes} bytes of the output were not read in time and are lost"
    if outcome.ok:
        return Outcome(Verdict.ERROR, Reason.INFRASTRUCTURE, lost)
    return replace(outcome, summary=f"{outcome.summary}; {lost}")

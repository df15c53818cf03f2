# SPDX-License-Identifier: GPL-2.0-only
"""The rules: from the observation of a run to its verdict. Pure; no other module decides.

``RULES`` is tried from the top; the first rule with an answer wins. They are ordered by how much
a fact explains: a dead host explains a dead VMM, a kernel's own report explains a triple fault,
a triple fault explains silence. A PASS is proved (init said hello, the command ended with 0, the
guest reset itself), never the absence of trouble.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace

from kvm.verdict import evidence, known, payload
from kvm.verdict.console import parse_console
from kvm.verdict.finding import Finding, normalise
from kvm.verdict.logbuf import printk_text
from kvm.verdict.losses import with_losses
from kvm.verdict.observation import Deadline, Observation, WorkerError
from kvm.verdict.vocabulary import Evidence, Outcome, Reason, Verdict

__all__ = [
    "RULES",
    "Deadline",
    "Observation",
    "WorkerError",
    "host_complaint",
    "judge",
]

_DEATH = (Reason.KERNEL_PANIC, Reason.KERNEL_OOPS)
_SENT_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Rule = Callable[[Observation], Outcome | None]


def judge(obs: Observation) -> Outcome:
    """The verdict on one run."""
    if not obs.findings and obs.log_buf:
        obs = replace(obs, findings=parse_console(printk_text(obs.log_buf)))
    answers = (rule(obs) for rule in RULES)
    outcome = next((answer for answer in answers if answer is not None), _no_proof(obs))
    outcome = with_losses(obs, _against_expected(obs, outcome))
    return known.noted(outcome, known.seen(obs.findings, obs.host_findings, obs.known_warnings))


def _interrupted(obs: Observation) -> Outcome | None:
    if not obs.interrupted:
        return None
    return _error(Reason.INFRASTRUCTURE, obs.interrupted, *_reports(obs, obs.findings))


def _host_panic(obs: Observation) -> Outcome | None:
    """A panic or oops of the lab host: the KVM in our kernel failed."""
    first = _first(obs.host_findings, _DEATH)
    if first is None:
        return None
    return _fail(
        Reason.HOST_PANIC,
        f"host kernel: {first.title}",
        *_reports(obs, obs.host_findings, first, source="host console"),
        *evidence.machine(obs),
        signature=f"host {first.signature}",
    )


def _host_deadlocked(obs: Observation) -> Outcome | None:
    """The host reported a stall and can't end its processes: the VMM is stuck in KVM."""
    stuck = obs.host_hung or obs.worker_error is not None
    return _host_stalled(obs) if stuck else None


def _host_lost(obs: Observation) -> Outcome | None:
    """The emulator under the lab host died or hangs, without a panic of the kernel in it."""
    if not obs.host_lost:
        return None
    return _error(
        Reason.INFRASTRUCTURE,
        f"lost the lab host: {obs.host_lost}",
        *_reports(obs, obs.host_findings, source="host console"),
        *evidence.tail(obs),
    )


def _setup_failed(obs: Observation) -> Outcome | None:
    """The VMM refused: a bad image or setting, or no usable KVM. The guest never ran.

    If the guest did run, the error is the VMM's own failure, or KVM's.
    """
    if obs.worker_error is None:
        return None
    message, _, rest = obs.worker_error.message.partition("\n")
    lines = tuple(rest.splitlines())
    more = (Evidence("VMM message", lines),) if lines else ()
    if obs.hello:
        items = (*more, *evidence.worker(obs), *_reports(obs, obs.findings))
        named = f"VMM {normalise(message)}"
        return _fail(Reason.VMM_ERROR, f"{message} {obs.phase}", *items, signature=named)
    return _error(Reason.VMM_ERROR, message, *more, *evidence.worker(obs))


def _vmm_crash(obs: Observation) -> Outcome | None:
    """The VMM was killed by a signal, unless we did it after a deadline.

    A signal that nothing in a VMM raises came from another process, or from a kernel without
    memory. That is nobody's fault, unless the test is about killing.
    """
    if obs.worker_status is None or obs.worker_status >= 0:
        return None
    number = -obs.worker_status
    if obs.deadline is not None and number in (signal.SIGKILL, signal.SIGTERM):
        return None
    name = _signal_name(number)
    items = (
        *evidence.worker(obs),
        *evidence.machine(obs),
        *_reports(obs, obs.findings),
        *_reports(obs, obs.host_findings, source="host console"),
        *evidence.tail(obs),
    )
    if number in _SENT_FROM_OUTSIDE and obs.expected is not Reason.VMM_CRASH:
        who = "by another process, or by a kernel that had no memory left"
        text = f"the VMM was killed by {name} {obs.phase}, {who}"
        return _error(Reason.INFRASTRUCTURE, text, *items)
    text = f"the VMM was killed by {name} {obs.phase}"
    return _fail(Reason.VMM_CRASH, text, *items, signature=f"VMM {name}")


def _guest_died(obs: Observation) -> Outcome | None:
    """The first panic, oops or lockup that the guest reported; later ones are consequences."""
    first = _first(obs.findings, _DEATH if obs.spoilt else (*_DEATH, Reason.HANG))
    if first is None:
        return None
    panic = _first(obs.findings, (Reason.KERNEL_PANIC,))
    then = f", then {panic.title}" if panic and panic is not first else ""
    machine = evidence.machine(obs) if first.reason is Reason.HANG or obs.deadline else ()
    return _fail(
        first.reason,
        f"{first.title}{then}",
        *_reports(obs, obs.findings, first),
        *machine,
        signature=first.signature,
    )


def _reported_death(obs: Observation) -> Outcome | None:
    """The guest reported its death to the VMM; its console and log show nothing."""
    kind, message = obs.reported_death
    if not kind:
        return None
    reason = Reason.KERNEL_OOPS if kind == "oops" else Reason.KERNEL_PANIC
    return _fail(
        reason,
        f"the guest told of its {kind}: {message} ({obs.phase})",
        *evidence.machine(obs),
        *evidence.tail(obs),
        signature=f"{kind}: {normalise(message)}",
    )


def _vmm_stop(obs: Observation) -> Outcome | None:
    """KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_FAIL_ENTRY, or an error of the VMM ended the machine."""
    if obs.stop not in ("internal_error", "fail_entry", "vmm_error"):
        return None
    what = {
        "internal_error": "KVM internal error",
        "fail_entry": "KVM could not enter the guest",
        "vmm_error": "the VMM gave up",
    }[obs.stop]
    detail = f": {obs.stop_detail}" if obs.stop_detail else ""
    return _fail(
        Reason.VMM_ERROR,
        f"{what}{detail}{evidence.where(obs)}",
        *evidence.machine(obs),
        *evidence.worker(obs),
        *evidence.tail(obs),
        signature=f"{what} in {evidence.function(obs)}".removesuffix(" in "),
    )


def _pvpanic(obs: Observation) -> Outcome | None:
    """The guest reported a panic by pvpanic, and its console does not show why."""
    if obs.stop != "guest_panic":
        return None
    return _fail(
        Reason.KERNEL_PANIC,
        f"the guest told of a panic ({obs.stop_detail}) {obs.phase}",
        *evidence.machine(obs),
        *evidence.tail(obs),
        signature="pvpanic",
    )


def _triple_fault(obs: Observation) -> Outcome | None:
    """KVM_EXIT_SHUTDOWN. It is never clean: the guest should reset through port 0xcf9."""
    if obs.stop != "shutdown":
        return None
    return _fail(
        Reason.GUEST_EXIT if obs.payload else Reason.KERNEL_PANIC,
        f"triple fault{evidence.where(obs)} {obs.phase}",
        *evidence.machine(obs),
        *evidence.tail(obs),
        signature=f"triple fault in {evidence.function(obs)}".removesuffix(" in "),
    )


def _silence(obs: Observation) -> Outcome | None:
    if obs.deadline is not Deadline.SILENCE:
        return None
    return _fail(
        Reason.HANG,
        f"silent for {obs.deadline_s:g} s {obs.phase}{evidence.where(obs)}",
        *evidence.machine(obs),
        *_reports(obs, obs.findings),
        *evidence.tail(obs),
        signature=f"silent {obs.phase}",
    )


def _not_there(obs: Observation) -> Outcome | None:
    """Something that was asked for is missing: whatever ran, it ran without.

    A kernel that was built without the driver has not failed. One with the driver has, or the VMM.
    """
    if obs.missing:
        return _fail(
            Reason.CHECK_FAILED,
            obs.missing,
            *_reports(obs, obs.findings),
            *evidence.tail(obs),
            signature=f"not there: {normalise(obs.missing)}",
        )
    if obs.lacking:
        found = _warned(obs)
        return found or _error(Reason.INFRASTRUCTURE, obs.lacking, *evidence.tail(obs))
    return None


def _too_long(obs: Observation) -> Outcome | None:
    """A user's limit is how long the user waits, a test's own how long it may take."""
    if obs.deadline is not Deadline.TOTAL:
        return None
    blamed = bool(obs.payload) or obs.bounded
    return Outcome(
        Verdict.FAIL if blamed else Verdict.ERROR,
        Reason.TIMEOUT,
        f"not done after {obs.deadline_s:g} s, stopped {obs.phase}{evidence.where(obs)}",
        (*evidence.machine(obs), *_reports(obs, obs.findings), *evidence.tail(obs)),
        signature=f"timeout {obs.phase}",
    )


def _not_run(obs: Observation) -> Outcome | None:
    """This computer did not run the machine, so its silence or stalls are not its fault."""
    stalls = obs.findings if _proved(obs) else (*obs.findings, *obs.host_findings)
    stall = _first(stalls, (Reason.HANG,)) if obs.spoilt else None
    if obs.deadline is Deadline.UNRUN:
        what = f"silent or not done for {obs.deadline_s:.0f} s {obs.phase}"
    elif stall is not None:
        what = stall.title
    else:
        return None
    return _error(
        Reason.INFRASTRUCTURE,
        f"{what}, but for {obs.kept_s:.0f} s this computer did not run the machine",
        *evidence.machine(obs),
        *_reports(obs, stalls),
        *evidence.tail(obs),
    )


def _payload_ended(obs: Observation) -> Outcome | None:
    """The payload itself ended, with its status on the debug-exit port."""
    if not obs.payload or obs.stop != "debug_exit":
        return None
    outcome = payload.outcome_of(obs.payload, int(obs.stop_detail))
    if outcome.ok:
        return _warned(obs) or outcome
    return replace(outcome, evidence=evidence.tail(obs))


def _init_failed(obs: Observation) -> Outcome | None:
    """Our init could not do its work, which proves nothing about the command."""
    if not obs.guest_error:
        return None
    return _error(Reason.INFRASTRUCTURE, f"guest init: {obs.guest_error}", *evidence.tail(obs))


def _worker_gone(obs: Observation) -> Outcome | None:
    """The worker ended by itself with an error: a Python traceback, say."""
    if not obs.worker_status:
        return None
    return _error(
        Reason.VMM_ERROR,
        f"the VMM worker exited with status {obs.worker_status} {obs.phase}",
        *evidence.worker(obs),
    )


def _command_failed(obs: Observation) -> Outcome | None:
    if not obs.exit_code and not obs.exit_signal:
        return None
    how = (
        f"was killed by {_signal_name(obs.exit_signal)}"
        if obs.exit_signal
        else f"exited with {obs.exit_code}"
    )
    name = " ".join(obs.command) or "the command"
    return _fail(
        Reason.GUEST_EXIT,
        f"`{name}` {how}",
        *_reports(obs, obs.findings),
        signature=f"command {how}",
    )


def _reset_early(obs: Observation) -> Outcome | None:
    """The guest left on its own before it had done its work."""
    ended = obs.stop in ("reset", "system_event", "debug_exit")
    if not ended or _done(obs):
        return None
    what = (
        "guest reset" if obs.stop == "reset" else f"guest stopped ({obs.stop_detail or obs.stop})"
    )
    when = "before the command ended" if obs.hello and obs.command else obs.phase
    return _fail(
        Reason.GUEST_EXIT,
        f"{what} {when}",
        *_reports(obs, obs.findings),
        *evidence.machine(obs),
        *evidence.tail(obs),
        signature=f"{what} {when}",
    )


def host_complaint(
    findings: tuple[Finding, ...], known_warnings: frozenset[str] = frozenset()
) -> Outcome | None:
    """A complaint of the lab host's kernel that spoils a suite that passed.

    A stall alone does not, as with a guest that finished its work (``_host_stalled``).
    """
    outcome = judge(
        Observation(host_findings=findings, known_warnings=known_warnings, hello=True, stop="reset")
    )
    return None if outcome.ok else outcome


def _host_stalled(obs: Observation) -> Outcome | None:
    """A stall of the host matters only if the guest did not finish its work."""
    first = _first(obs.host_findings, (Reason.HANG,))
    if first is None or obs.spoilt or _proved(obs):
        return None
    return _fail(
        Reason.HANG,
        f"host kernel: {first.title}",
        *_reports(obs, obs.host_findings, first, source="host console"),
        signature=f"host {first.signature}",
    )


def _warned(obs: Observation) -> Outcome | None:
    """A WARN or a debugging report, in the guest or the host, spoils a good exit code."""
    for findings, who, source in (
        (obs.findings, "", "console"),
        (obs.host_findings, "host kernel: ", "host console"),
    ):
        # A payload has no kernel whose warnings could be allowed; its host's are not meant.
        if obs.allow_warnings and not (obs.payload and who):
            continue
        names = obs.known_warnings
        unknown = tuple(f for f in findings if not known.name_of(f, names, of_host=bool(who)))
        first = _first(unknown, (Reason.KERNEL_WARNING,))
        if first:
            return _fail(
                Reason.KERNEL_WARNING,
                f"{who}{first.title}",
                *_reports(obs, findings, first, source=source),
                signature=f"{known.HOST if who else ''}{first.signature}",
            )
    return None


def _passed(obs: Observation) -> Outcome | None:
    if not _proved(obs):
        return None
    what = f"`{' '.join(obs.command)}` exited with 0" if obs.command else "booted to init"
    return Outcome(Verdict.PASS, Reason.OK, what)


RULES: tuple[Rule, ...] = (
    _interrupted,
    _host_panic,
    _host_deadlocked,
    _host_lost,
    _setup_failed,
    _vmm_crash,
    _guest_died,
    _reported_death,
    _vmm_stop,
    _pvpanic,
    _triple_fault,
    _payload_ended,
    _host_stalled,
    _silence,
    _not_there,
    _too_long,
    _not_run,
    _init_failed,
    _worker_gone,
    _command_failed,
    _reset_early,
    _warned,
    _passed,
)


def _no_proof(obs: Observation) -> Outcome:
    """Nothing visibly went wrong, and nothing proves that it went right."""
    lacking = []
    if not obs.hello:
        lacking.append("no hello from init")
    if obs.command and obs.exit_code is None:
        lacking.append("no exit code of the command")
    if obs.stop != "reset":
        lacking.append(f"stop was {obs.stop or 'not reported'}, not reset")
    return _error(
        Reason.INFRASTRUCTURE,
        f"no proof of success: {', '.join(lacking)}",
        *evidence.machine(obs),
        *evidence.worker(obs),
        *evidence.tail(obs),
    )


def _against_expected(obs: Observation, outcome: Outcome) -> Outcome:
    if obs.expected is None or outcome.verdict is Verdict.ERROR:
        return outcome
    if outcome.reason is obs.expected:
        spoiled = _spoiled(obs)
        if spoiled is not None:
            return spoiled
        summary = f"as expected: {outcome.summary}"
        return replace(outcome, verdict=Verdict.PASS, reason=Reason.OK, summary=summary)
    if outcome.verdict is Verdict.PASS:
        return _fail(Reason.GUEST_EXIT, f"{obs.expected.value} was expected: {outcome.summary}")
    return outcome


def _spoiled(obs: Observation) -> Outcome | None:
    """Killing a VMM on purpose proves nothing about a kernel that had complained before."""
    if obs.expected is not Reason.VMM_CRASH:
        return None
    return _guest_died(obs) or _warned(obs)


def _done(obs: Observation) -> bool:
    return obs.hello and (obs.exit_code is not None or not obs.command)


def _proved(obs: Observation) -> bool:
    return _done(obs) and not obs.exit_code and not obs.exit_signal and obs.stop == "reset"


def _first(findings: tuple[Finding, ...], reasons: tuple[Reason, ...]) -> Finding | None:
    return next((f for f in findings if f.reason in reasons), None)


def _reports(
    obs: Observation,
    findings: tuple[Finding, ...],
    chosen: Finding | None = None,
    *,
    source: str = "console",
) -> tuple[Evidence, ...]:
    """One report in full (``chosen``, or the first), the others by title."""
    chosen = chosen or next(iter(findings), None)
    if chosen is None:
        return ()
    others = tuple(f for f in findings if f is not chosen)
    return (evidence.report(chosen, source=source), *evidence.also(others, source=source))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _fail(reason: Reason, summary: str, *items: Evidence, signature: str = "") -> Outcome:
    return Outcome(Verdict.FAIL, reason, summary, items, signature)


def _error(reason: Reason, summary: str, *items: Evidence) -> Outcome:
    return Outcome(Verdict.ERROR, reason, summary, items)

# SPDX-License-Identifier: GPL-2.0-only
"""The user's own command, or a pytest test, run in a checkout of each commit.

Exit codes are those of ``git bisect run``: 0 good, 125 can't tell, others below 128 bad; codes from
128 on (a signal) mean trouble, which is retried.
"""

from __future__ import annotations

import itertools
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvm import process
from kvm.bisect.model import Axis, Mix, Run
from kvm.bisect.subject import Built, NoSuchTest
from kvm.bisect.workplace import Workplace
from kvm.run.pytest_run import NO_VERDICT
from kvm.say import Say
from kvm.verdict.finding import normalise
from kvm.verdict.vocabulary import EXIT_CANNOT_TELL, Reason, Verdict

_SIGNALS = 128
# The exit code of an older revision's ``./invoke`` that reached no verdict.
_OLD_TROUBLE = 2
_SUMMARY_CHARACTERS = 160
# pytest.ExitCode of a test that can't be found, and of an empty collection; older revisions of
# ``./invoke test`` exit with it.
_NO_TEST = (4, 5)


@dataclass(slots=True)
class CommandSubject:
    """``argv`` is run in the checkout; each run leaves ``output.log`` in a folder in ``folder``."""

    workplace: Workplace
    argv: tuple[str, ...]
    folder: Path
    deadline_s: float

    @property
    def words(self) -> str:
        return shlex.join(self.argv)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (Axis.GUEST,) if self.workplace.external else (Axis.GUEST, Axis.VMM)

    @property
    def paths(self) -> tuple[str, ...]:
        return ()

    def build(self, mix: Mix, say: Say) -> Built:
        commit = self.workplace.mixed(mix)
        # Any change may matter to a command.
        key = f"{self.words}|{self.workplace.content(commit, ())}"
        return Built(key, commit[:12], lambda: self._run(commit))

    def repeat(self, commit: str) -> str:
        return f"git checkout {commit[:12]} && {self.words}"

    def close(self) -> None:
        process.run(
            (sys.executable, "-m", "invoke", "lab.stop"),
            cwd=self.workplace.checkout.root,
            env=process.UsersOwn(self.workplace.environment),
            check=False,
        )

    def _run(self, commit: str) -> Run:
        self.workplace.move(commit)
        folder = new_folder(self.folder)
        try:
            done = process.run(
                self._argv(folder),
                cwd=self.workplace.checkout.root,
                env=process.UsersOwn(self.workplace.environment),
                check=False,
                timeout_s=self.deadline_s,
            )
        except process.CommandError as late:
            (folder / "output.log").write_text(late.completed.output)
            return self._record(folder, Verdict.FAIL, Reason.TIMEOUT, late.hint, "timeout", late)
        (folder / "output.log").write_text(done.output)
        return self._judge(folder, done)

    def _argv(self, folder: Path) -> Sequence[str]:
        return self.argv

    def _judge(self, folder: Path, done: process.Completed) -> Run:
        said = last_line(done.output)
        if done.ok:
            return self._record(folder, Verdict.PASS, Reason.OK, "", "", done)
        harness = Path(self.argv[0]).name == "invoke" and done.returncode == _OLD_TROUBLE
        if done.returncode == EXIT_CANNOT_TELL or harness:
            return self._record(
                folder, Verdict.SKIP, Reason.NONE, f"exit code {done.returncode}: {said}", "", done
            )
        if not 0 < done.returncode < _SIGNALS:
            text = f"ended with {done.returncode}: {said}"
            return self._record(folder, Verdict.ERROR, Reason.INFRASTRUCTURE, text, "", done)
        text = f"exit code {done.returncode}: {said}"
        return self._record(folder, Verdict.FAIL, Reason.GUEST_EXIT, text, "", done)

    def _record(
        self,
        folder: Path,
        verdict: Verdict,
        reason: Reason,
        text: str,
        signature: str,
        done: process.Completed | process.CommandError,
    ) -> Run:
        completed = done.completed if isinstance(done, process.CommandError) else done
        where = folder.relative_to(self.workplace.project.root)
        return Run(verdict, reason, text, signature, round(completed.seconds, 3), str(where))


class PytestSubject(CommandSubject):
    """A pytest test by its node id; its failure's message is the signature."""

    @property
    def words(self) -> str:
        return self.argv[0]

    def repeat(self, commit: str) -> str:
        return f"git checkout {commit[:12]} && ./invoke test -n 1 -- {shlex.quote(self.argv[0])}"

    def _argv(self, folder: Path) -> Sequence[str]:
        xml = f"--junitxml={folder / 'junit.xml'}"
        node = self.argv[0]
        return (sys.executable, "-m", "invoke", "test", "-n", "1", "--", node, xml)

    def _judge(self, folder: Path, done: process.Completed) -> Run:
        said = last_line(done.output)
        told = (f"{NO_VERDICT}{code}" in done.output for code in _NO_TEST)
        if done.returncode in _NO_TEST or any(told):
            raise NoSuchTest(f"there is no test {self.argv[0]}: {said}")
        if done.returncode != 1:
            return CommandSubject._judge(self, folder, done)
        message = _message(folder / "junit.xml")
        if message is None:
            # invoke's own failure, before pytest began
            text = f"no test was run: {said}"
            return self._record(folder, Verdict.SKIP, Reason.NONE, text, "", done)
        signature = normalise(message)
        return self._record(folder, Verdict.FAIL, Reason.CHECK_FAILED, message, signature, done)


def new_folder(parent: Path) -> Path:
    """Make a folder named by the first free number."""
    for number in itertools.count(1):
        folder = parent / str(number)
        if not folder.exists():
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("count() ended")


def last_line(output: str) -> str:
    """The last line of a command's output, cut to a reasonable length."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:_SUMMARY_CHARACTERS] if lines else "no output"


def _message(junit: Path) -> str | None:
    """The first line of the first failure."""
    try:
        root = ElementTree.parse(junit).getroot()
    except (OSError, ElementTree.ParseError):
        return None
    for kind in ("failure", "error"):
        for item in root.iter(kind):
            lines = (item.get("message") or item.text or kind).splitlines()
            return lines[0][:_SUMMARY_CHARACTERS] if lines else kind
    return None

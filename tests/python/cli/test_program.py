# SPDX-License-Identifier: GPL-2.0-only
"""How ``./invoke`` ends, as seen from a shell: messages, and an exit code for bisections."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kvm.project import Project
from support.prepared import require

ROOT = Project.find().root
# Another worker's test may be building a whole kernel in this checkout for this long.
_PATIENCE_S = 1800
pytestmark = pytest.mark.timeout(_PATIENCE_S + 60)
_STOPS_A_BISECTION = 129
_CANNOT_TELL = 125


def invoke(
    *words: str | bytes, stdout: str = "", env: dict[str, str] | None = None, cwd: Path = ROOT
) -> tuple[int, str]:
    """Its exit code and stderr; ``stdout`` is a shell's redirection."""
    program = (sys.executable, "-P", "-m", "kvm", "--search-root", str(ROOT))
    child = subprocess.Popen(
        ("sh", "-c", f'"$@" {stdout}', "sh", *program, *words),
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = child.communicate(timeout=_PATIENCE_S)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    return child.returncode, said.decode(errors="replace")


CELL = "lab-vcpus1-mmio-boot"
# For each command whose options have values: impossible words, and the message about them.
_WRONG: dict[str, tuple[tuple[str, str], ...]] = {
    "boot": (
        ("--cpus two", "--cpus: "),
        ("--cpus 0", "--cpus 0"),
        ("--config debgu", "did you mean debug?"),
        ("--configitem =y", "--configitem =y"),
        ("--memory lots", "--memory"),
        ("--disk /nowhere/d", "/nowhere/d"),
        ("--disk .,wo", "unknown mode 'wo'"),
        ("--share /nowhere", "/nowhere"),
        ("--balloon 999", "balloon"),
        ("--compare no-such-revision", "no-such-revision"),
        ("--known-warnings /nowhere", "/nowhere"),
        ("--timeline /dev/null/x.html", "/dev/null/x.html"),
        ("--from no-such-snapshot", "there is no snapshot no-such-snapshot"),
        ("--from ../x", "is no name for a snapshot"),
    ),
    "build-and-boot": (("--ring round", "--ring round"),),
    "build": (("--config debgu", "did you mean debug?"),),
    "payload": (
        ("/nowhere", "/nowhere"),
        (". ", "add --suite"),
        ("a.flat --cpus 0", "--cpus 0"),
        ("a.flat --memory lots", "--memory"),
        ("a.flat -k x", "-k without --suite"),
        ("a.flat --host mars", "--host mars"),
        ("a.flat --known-warnings /nowhere", "/nowhere"),
        (". --suite -k nope", "-k nope"),
        (". --suite --append x", "--append with --suite"),
        (". --suite --expected /nowhere.toml", "/nowhere.toml"),
        (". --suite --output x.pdf", "x.pdf"),
        (". --suite --timeout -3", "--timeout -3"),
        ("ci --suite", "unittests.cfg"),
    ),
    "doctor": (("--json /dev/null/x", "/dev/null/x"),),
    "test": (
        ("--matrix --axis vcpus=77", "vcpus=77"),
        ("--matrix --subset nope", "--subset nope"),
        ("--matrix -k boot(", "-k boot("),
        ("--matrix --reruns=-1", "--reruns -1"),
        ("--matrix --shard 4/3", "--shard 4/3"),
        ("--shard 1/3", "--shard without --matrix"),
        ("--matrix --workload payloads:/nowhere", "/nowhere"),
        ("--matrix --known-warnings /nowhere", "/nowhere"),
        ("--axis vcpus=1", "--axis without --matrix"),
        ("--planted -k nope", "-k nope"),
    ),
    "report": (
        ("--output x.pdf", "x.pdf"),
        ("--merge /nowhere", "--merge /nowhere"),
        ("--merge . --run 2", "--merge with --run"),
    ),
    "bench": (
        ("nope", "no bench 'nope'"),
        ("boot --runs 0", "--runs 0"),
        ("payloads", "--suite"),
    ),
    "bisect": (
        ("--good HEAD", "what to run"),
        (f"--cell {CELL}", "--good is missing"),
        ("--good HEAD --cell lab-vcpus1-mmio-boto", f"did you mean {CELL}"),
        (f"--good no-such-revision --cell {CELL}", "no-such-revision"),
        (f"--good HEAD --cell {CELL}", "the same commit"),
    ),
    "bisect-step": (("", "which cell?"), ("--cell x --rate 7", "--rate 7")),
    "kernel.config": (
        ("--config debgu", "did you mean debug?"),
        ("--configitem =y", "--configitem =y"),
    ),
    "kernel.build": (("--config debgu", "did you mean debug?"),),
    "machine.list": (("--json /dev/null/x", "/dev/null/x"),),
    "machine.stat": (("nope", "nope"),),
    "machine.pause": (("nope", "nope"),),
    "machine.resume": (("nope", "nope"),),
    "machine.stop": (("nope", "nope"),),
    "machine.nmi": (("nope", "nope"), ("nope --cpu two", "--cpu: ")),
    "machine.sysrq": (("nope h", "nope"),),
    "machine.balloon": (("nope many", "'many'"), ("nope 3", "nope")),
    "snapshot.make": (
        ("../x", "is no name for a snapshot"),
        ("x --cpus 0", "--cpus 0"),
        ("x --vnc auto", "can't be saved: a display has viewers"),
        ("x --from y", "--from"),
    ),
    "snapshot.list": (("--json /dev/null/x", "/dev/null/x"),),
    "snapshot.drop": (("no-such-snapshot", "there is no snapshot no-such-snapshot"),),
}
_ANY_VALUE = {"kernel.save"}  # its message


def _commands() -> list[str]:
    import tasks

    return sorted(tasks.namespace.task_names)


@pytest.mark.parametrize("words", [(), *((name,) for name in _commands())])
def test_an_option_that_is_not_there_stops_a_bisection(words: tuple[str, ...]) -> None:
    code, stderr = invoke(*words, "--no-such-option")
    assert code == _STOPS_A_BISECTION, stderr
    assert "no-such-option" in stderr or "required positional" in stderr
    assert "Traceback" not in stderr


def test_wrong_words_are_known_for_every_command_that_has_values() -> None:
    import tasks

    have = {
        name
        for name in _commands()
        if any(argument.takes_value for argument in tasks.namespace[name].get_arguments())
    }
    assert have - {*_WRONG} - _ANY_VALUE == set()


@pytest.mark.parametrize(
    ("name", "words", "said"), [(n, w, s) for n, many in _WRONG.items() for w, s in many]
)
def test_wrong_words_stop_a_bisection(name: str, words: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "a.flat").touch()
    (tmp_path / "unittests.cfg").write_text("[a]\nfile = a.flat\n")
    code, stderr = invoke(name, *words.split(), cwd=tmp_path)
    assert code == _STOPS_A_BISECTION, stderr
    assert said in stderr
    assert "Traceback" not in stderr
    assert "VMM" not in stderr  # nothing was built


@pytest.mark.parametrize(
    ("words", "said"),
    [(("no-such-command",), "no-such-command"), (("boot", "--", b"\xff"), "is not UTF-8")],
)
def test_so_do_other_commands_and_other_encodings(
    words: tuple[str | bytes, ...], said: str
) -> None:
    code, stderr = invoke(*words)
    assert (code, said in stderr) == (_STOPS_A_BISECTION, True), stderr


def test_an_environment_that_is_wrong_stops_one_too(tmp_path: Path) -> None:
    code, stderr = invoke("build", env={"KERNEL_TREE": str(tmp_path)})
    assert (code, "KERNEL_TREE=" in stderr) == (_STOPS_A_BISECTION, True)


def test_what_keeps_a_verdict_from_being_reached_skips_the_revision(tmp_path: Path) -> None:
    kernel, record = tmp_path / "kernel", tmp_path / "record.json"
    kernel.mkdir()
    (kernel / "Kbuild").write_text("")
    (kernel / "Makefile").write_text("headers_install:\n\t@echo it is broken; false\n")
    env = {"KERNEL_TREE": str(kernel), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code, stderr = invoke("boot", "--json", str(record), env=env)
    assert code == _CANNOT_TELL, stderr
    assert "it is broken" in stderr
    found = json.loads(record.read_text())
    assert (found["verdict"], found["reason"]) == ("ERROR", "infrastructure")


@pytest.mark.parametrize("broken", ["errors.py", "cli/program.py", "cli/machine.py"])
def test_a_revision_whose_python_does_not_load_is_skipped(tmp_path: Path, broken: str) -> None:
    package = ROOT / "tools" / "kvm" / "python" / "kvm"
    shutil.copytree(package, tmp_path / "kvm", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "kvm" / broken).write_text("this is no Python\n")
    code, stderr = invoke("boot", "--help", env={"PYTHONPATH": str(tmp_path)})
    assert (code, Path(broken).name in stderr) == (_CANNOT_TELL, True), stderr


@pytest.mark.parametrize(
    ("text", "words"), [("import nowhere\n", ()), ("def test_it(): pass\n", ("-k", "other"))]
)
def test_tests_that_did_not_run_are_no_verdict(
    tmp_path: Path, text: str, words: tuple[str, ...]
) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(text)
    code, stderr = invoke("test", "-n", "1", *words, "--", str(file))
    assert code == _CANNOT_TELL, stderr
    assert "no verdict: pytest ended with exit code " in stderr


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    code, stderr = invoke("--list", stdout="| head -1")
    assert (code, stderr) == (0, "")  # the status of head


def test_a_full_stdout_is_no_verdict() -> None:
    code, stderr = invoke("--list", stdout=">/dev/full")
    assert (code, stderr) == (_CANNOT_TELL, "error: stdout: No space left on device\n")


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_do_no_harm(closed: str) -> None:
    code, stderr = invoke("--list", stdout=closed)
    assert (code, stderr) == (0, "")


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A locale that is not UTF-8."""
    folder = tmp_path_factory.mktemp("locales")
    words = ("localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE"))
    if shutil.which("localedef") is None or subprocess.run(words, check=False).returncode:
        pytest.skip("no locale can be made here")
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE"}


def test_no_encoding_of_the_shell_is_in_the_way(german: dict[str, str]) -> None:
    """A file's UTF-8 is read, and our words that Latin-1 can't encode are printed."""
    stamp = ROOT / ".venv" / ".bootstrap-stamp"
    require(stamp.exists(), "./invoke has not run here", "./invoke --version")
    done = subprocess.run(
        (ROOT / "invoke", "boot", "--cpus", "0"),
        env={**{n: v for n, v in os.environ.items() if n != "PYTHONUTF8"}, **german},
        capture_output=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    said = done.stderr.decode()
    assert (done.returncode, "→ a machine has 1 to 255 vCPUs" in said) == (129, True), said


# Further words that each command that writes a report needs.
_NEEDED: dict[str, tuple[str, ...]] = {
    "payload": ("--suite", "."),
    "test": ("--matrix", "-k", "lab-vcpus1-mmio-boot", "-n", "1"),
    "bench": ("boot",),
    "bisect": ("--good", "HEAD~1", "--cell", "lab-vcpus1-mmio-boot"),
    "machine.stat": ("no-such-machine",),
    "snapshot.make": ("base",),
}
# Commands that do nothing before they write, so nothing can be lost.
_AT_ONCE = ("report", "machine.list", "machine.stat", "snapshot.list")


def _reports() -> list[tuple[str, str]]:
    """Every command with an option that names a report's file, and the option."""
    import tasks

    found = []
    for name in sorted(set(tasks.namespace.task_names) - {*_AT_ONCE}):
        options = {argument.name for argument in tasks.namespace[name].get_arguments()}
        found += [(name, word) for word in ("json", "output", "timeline") if word in options]
    return found


@pytest.mark.parametrize(("command", "option"), _reports())
def test_a_report_that_cannot_be_written_is_told_before_the_work(
    command: str, option: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "a.flat").touch()
    (tmp_path / "unittests.cfg").write_text("[a]\nfile = a.flat\n")
    target = tmp_path / "file" / "report.json"
    words = (command, *_NEEDED.get(command, ()), f"--{option}", str(target))
    code, stderr = invoke(*words, cwd=tmp_path)
    assert code == _STOPS_A_BISECTION, stderr
    assert f"nothing can be written to {target}" in stderr
    assert "kernel tree" not in stderr  # nothing was built

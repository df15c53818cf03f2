# SPDX-License-Identifier: GPL-2.0-only
"""A headless browser, driven over its debugging pipe, to check how it renders a page.

The pipe (descriptors 3 and 4, JSON ended by NUL) needs no port and no library, and page scripts can
be turned off while it still measures and takes screenshots.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kvm import process

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ANSWER_S = 20.0
# Gives the two pipe ends the numbers that the browser expects, then execs the browser.
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4);"
    " os.execv(sys.argv[3], sys.argv[3:])"
)

# Evaluates to the elements whose text has a contrast below 4.5:1 (WCAG 2) to its background.
LOW_CONTRAST = """
(() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = parse(c).slice(0, 3).map(v => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor, p = parse(c);
    if (p.length < 4 || p[3] > 0) return c; } return 'rgb(255,255,255)'; };
  const low = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const a = light(getComputedStyle(e).color), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
  }
  return [...low];
})()
"""


def installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer = b""
        self._number = 0
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        answer = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send one command and return its answer."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        answer = self._wait(lambda message: message.get("id") == self._number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def show(self, page: Path, *, width: int, height: int, dark: bool = False) -> None:
        """Load a page on a screen of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.as_uri())
        self._wait(lambda message: message.get("method") == "Page.loadEventFired")

    def allow_scripts(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def content_size(self) -> tuple[float, float]:
        """The width and height of the scrollable area."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return size["width"], size["height"]

    def picture(self) -> bytes:
        """A screenshot of the window, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _wait(self, wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + _ANSWER_S
        while True:
            while b"\0" in self._buffer:
                raw, _, self._buffer = self._buffer.partition(b"\0")
                message = json.loads(raw)
                if wanted(message):
                    return dict(message)
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._answers], [], [], left)[0], "no answer"
            data = os.read(self._answers, 1 << 20)
            assert data, "the browser ended"
            self._buffer += data


@contextlib.contextmanager
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """Start it; at the end, kill it with all its children."""
    with contextlib.ExitStack() as stack:
        theirs_in, commands = _pipe(stack)
        answers, theirs_out = _pipe(stack)
        argv = (
            *(sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), program),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
            *("--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
        )
        quiet = subprocess.DEVNULL
        fds = (theirs_in, theirs_out)
        with process.spawn(argv, stdin=quiet, stdout=quiet, stderr=quiet, pass_fds=fds):
            yield Browser(commands, answers)


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe with both ends above the numbers that the browser will use."""
    ends = []
    for fd in os.pipe():
        ends.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(fd)
        stack.callback(os.close, ends[-1])
    return ends[0], ends[1]

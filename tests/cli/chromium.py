"""A real browser for pages: headless Chromium, spoken to over a pipe in its DevTools protocol.

The command line alone (`--dump-dom`, `--screenshot`) would be shorter, but its window cannot be as
narrow as a phone's, and errors come mixed with those of the browser itself. The protocol gives
both, the dark scheme, all requests, and one browser for all pages of a session.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread
from numpy.typing import NDArray

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LIMIT = 30.0                  # seconds for any answer
PHONE = (390, 844)
DESKTOP = (1280, 900)

# The browser reads commands on descriptor 3 and answers on 4.
START = """import os, sys
os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])"""
OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
    "--disable-dev-shm-usage", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


def find_chromium() -> str | None:
    """Path of the browser, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@dataclass(frozen=True)
class Opened:
    """What a reader gets to see of a page.

    Attributes
    ----------
    text : what is visible, as text
    errors : what the console shows as warning or error, and exceptions
    requests : whatever the page asked for besides itself
    overflow : pixels by which the page is wider than the window
    image : (height, width, 3) of the whole page, 0 to 1
    evaluate : value of a JavaScript expression, as long as the test lasts
    """

    text: str
    errors: list[str]
    requests: list[str]
    overflow: int
    image: NDArray[np.float64]
    evaluate: Callable[[str], Any]


class Chromium:
    """One browser process, with a profile folder of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        read, self._write = _pipe()
        self._read, write = _pipe()
        self._number, self._rest = 0, b""
        self._events: list[dict[str, Any]] = []
        self._tabs: list[str] = []
        self._log = (profile / "log").open("wb")
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", START, str(read), str(write), program, *OPTIONS, *root,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(read, write), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        os.close(read)
        os.close(write)

    def open(self, path: Path, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Opened:
        """Open a page in a new tab of this size and look at it."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._tabs.append(target)
        tab = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable", tab)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", tab, features=[scheme])
        self._call("Emulation.setDeviceMetricsOverride", tab, width=size[0], height=size[1],
                   deviceScaleFactor=1, mobile=size == PHONE)  # fmt: skip
        self._events.clear()
        url = path.resolve().as_uri()
        self._call("Page.navigate", tab, url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._events.append(self._message(time.monotonic() + LIMIT))

        def evaluate(expression: str) -> Any:
            answer = self._call("Runtime.evaluate", tab, expression=expression, returnByValue=True)
            assert "exceptionDetails" not in answer, answer
            return answer["result"].get("value")

        shot = self._call("Page.captureScreenshot", tab, captureBeyondViewport=True)["data"]
        return Opened(
            text=evaluate("document.body.innerText"),
            overflow=evaluate("document.documentElement.scrollWidth") - size[0],
            image=imread(io.BytesIO(base64.b64decode(shot)))[..., :3].astype(float),
            errors=[said for event in self._events if (said := complaint(event))],
            requests=[asked for event in self._events if (asked := request(event))
                      and not asked.startswith(("data:", url))],
            evaluate=evaluate,
        )  # fmt: skip

    def close_tabs(self) -> None:
        """Close what has been opened."""
        while self._tabs:
            self._call("Target.closeTarget", targetId=self._tabs.pop())

    def close(self) -> None:
        """End the browser; by force if it does not go."""
        os.close(self._write)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        os.close(self._read)
        self._log.close()

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + LIMIT
        while (answer := self._message(deadline)).get("id") != self._number:
            self._events.append(answer)
        assert "result" in answer, f"{method}: {answer}"
        return dict(answer["result"])

    def _message(self, deadline: float) -> dict[str, Any]:
        """The next answer or event; events have no id."""
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))
            piece = os.read(self._read, 1 << 20) if ready else b""
            if not piece:
                raise TimeoutError(f"{Path(self._log.name).read_text(errors='replace')}\n"
                                   f"Chromium did not answer within {LIMIT:g} s")
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))


def complaint(event: dict[str, Any]) -> str:
    """What an event says about something that went wrong; empty if nothing did."""
    method, params = event["method"], event["params"]
    if method == "Runtime.exceptionThrown":
        return str(params["exceptionDetails"])
    if method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
        return str(params["entry"]["text"])
    if method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
        return str(params["args"])
    return ""


def request(event: dict[str, Any]) -> str:
    """The address that an event says was asked for; empty for other events."""
    asked = event["method"] == "Network.requestWillBeSent"
    return str(event["params"]["request"]["url"]) if asked else ""


def _pipe() -> tuple[int, int]:
    """A pipe on high descriptors, out of the way of those that the browser wants."""
    low = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in low)
    for end in low:
        os.close(end)
    return high[0], high[1]

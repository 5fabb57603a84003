"""A headless Chromium over its debugging pipe: what a page logs, how wide it is, and how it looks."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((found for name in NAMES if (found := shutil.which(name))), None)
MISSING = "NOT TESTED: there is no Chromium here; `apt-get install -y --no-install-recommends chromium`"
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")


class Browser:
    """One page in one Chromium; `log` has its errors and warnings, `requests` the addresses that it asked for.

    https://chromedevtools.github.io/devtools-protocol/ with messages that end in a zero byte, on descriptors 3 and 4.
    """

    def __init__(self, profile: Path) -> None:
        self.profile, self.number = profile, 0
        self.log: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        assert PROGRAM, MISSING
        taken, self.write = os.pipe()
        self.read, given = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (taken, given)]

        def placed() -> None:
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        command = [PROGRAM, *OPTIONS, f"--user-data-dir={self.profile}", "about:blank"]
        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command,
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            pass_fds=(3, 4),
            preexec_fn=placed,  # noqa: PLW1509  before any thread
        )
        for end in (taken, given, *high):
            os.close(end)
        self.rest = b""
        self.session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.write)
        os.close(self.read)

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method and return its result; events that come before it are kept."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        os.write(
            self.write, json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0"
        )
        while (answer := self._next()).get("id") != self.number:
            self._event(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Load a page at a width in light or dark, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.resolve().as_uri())
        while (event := self._next()).get("method") != "Page.loadEventFired":
            self._event(event)

    def value(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            part = os.read(self.read, 1 << 16)
            assert part, "the browser ended"
            self.rest += part
        first, _, self.rest = self.rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def _event(self, event: dict[str, Any]) -> None:
        content = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            self.log.append(content["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.log.append(str(content["exceptionDetails"]))
        elif event.get("method") == "Runtime.consoleAPICalled":
            self.log.append(str(content["args"]))
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])

"""The verdict on EfficientNet-Lite0 at 224 pixels for two boards, a network of the size of the published references.

Runs `recipes/efficientnet-lite.yaml` on JPEGs of the photographs that are installed, for a Raspberry Pi 4 and 5.
`make bench-boards` writes boards.json; emulating takes minutes. Without scikit-image there are 2 photographs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench import photographs, results

PHOTOS = Path(".edgepress/boards/photos")
VARIANTS = 20
"""JPEGs of each photograph."""
TARGETS = ("raspberry-pi-4", "raspberry-pi-5")


def main() -> None:
    photographs.make(PHOTOS, VARIANTS)
    targets = [part for name in TARGETS for part in ("--target", name)]
    photos = ("--set", f"task.data.from=../{PHOTOS}")
    command = [sys.executable, "-m", "edgepress", "run", "efficientnet-lite", *photos, *targets]
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 1, 4):  # a board may miss a budget: that is a verdict too
        raise SystemExit(code)
    shutil.copyfile("runs/efficientnet-lite/report.json", results.FOLDER / "boards.json")


if __name__ == "__main__":
    main()

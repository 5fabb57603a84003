"""SIGINT and SIGTERM at random moments of every command, most within its first 0.3 s: exit 130 within 2 s."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from tests.torture import places
from tests.torture.bench import Bench
from tests.torture.ended import VERDICTS
from tests.torture.runner import ROOT, Fresh
from tests.torture.watch import Stop

COMMANDS = (
    ("--version",),
    ("--help",),
    ("ls",),
    ("show", "mobilenet"),
    ("validate", "lite.yaml"),
    ("plan", "tiny.yaml"),
    ("run", "tiny.yaml"),
    ("run", "lite.yaml"),
    ("run", "long.yaml"),
    ("check", "lite.yaml"),
    ("why", "m.onnx"),
    ("why", "lite.yaml"),
    ("bench", "m.onnx"),
    ("bench", "m.onnx", "--against", "m.onnx"),
    ("doctor",),
    ("gc",),
    ("cp", "mobilenet", "c.yaml"),
    ("compare", "tiny.yaml", "--seeds", "1"),
    ("accept", "lite.yaml"),
    ("diff", "lite.yaml", "tiny.yaml"),
)
EARLY, LATE = 0.3, 6.0
START = 0.01
"""Seconds in which Python reads `edgepress.__main__` and runs its first line; until then a signal is Python's."""
_MARK = """\
import os, sys

class Mark:
    def find_spec(name, path=None, target=None):
        if name == "edgepress.__main__":
            try:
                os.close(os.open(os.environ["TMPDIR"] + "/../started", os.O_CREAT | os.O_EXCL))
            except OSError:
                pass

sys.meta_path.insert(0, Mark)
"""


def prepare(seeds: Path, runner: Fresh) -> None:
    places.finished(seeds, runner, "lite")
    (seeds / "site").mkdir(exist_ok=True)
    (seeds / "site" / "sitecustomize.py").write_text(_MARK)


def trial(bench: Bench) -> None:
    command = COMMANDS[bench.number % len(COMMANDS)]
    random = bench.random
    after = random.uniform(0, EARLY) if random.random() < 0.6 else random.uniform(EARLY, LATE)
    stop = Stop(random.choice((signal.SIGINT, signal.SIGTERM)), after, group=random.random() < 0.5)
    bench.note = f"{' '.join(command)}: {stop.signal.name} after {after:.3f} s, {'group' if stop.group else 'process'}"
    shutil.copytree(bench.seeds / "lite" / "work", bench.work)
    path = os.pathsep.join([str(bench.seeds / "site"), str(ROOT / "pipeline")])
    begun = time.time()
    ended = Fresh({"PYTHONPATH": path}, bench.runner.idle).run(command, bench.folder, stop=stop)
    started = bench.folder / "started"
    sent = begun + after
    early = not started.exists() or sent < started.stat().st_mtime + START * ended.load
    if ended.heeded is None:
        bench.facts["ended before the signal"] += 1
        bench.judge(ended, codes=VERDICTS)
    elif early and (ended.code < 0 or "edgepress/" not in ended.err) and ended.code != 130:
        bench.facts["before Python had begun"] += 1
        bench.endings.append(ended)
    else:
        bench.facts["signals"] += 1
        late = ended.heeded / ended.load > 0.5
        bench.judge(ended, codes=(130,) if late else (*VERDICTS, 130))

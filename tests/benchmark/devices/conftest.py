"""The board that these tests ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from edgepress.benchmark.devices.ssh import COMMAND

from .board import SSHD, Board, board_in


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    if SSHD is None:
        pytest.skip("there is no sshd here: apt-get install openssh-server")
    found = board_in(tmp_path / "board")
    monkeypatch.setenv(COMMAND, f"ssh -F {tmp_path / 'board' / 'config'}")
    found.start()
    yield found
    found.unplug()

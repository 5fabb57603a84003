"""Model files of Hugging Face: names, the commit that the lock keeps, and what a run without a connection says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import pytest
import yaml
from edgepress.core.errors import UserError
from edgepress.models import hub, pretrained
from edgepress.stages.load import Load
from pydantic import ValidationError

NAME = "hf://someone/nets/onnx/small.onnx@main"
COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls of a hub whose branch `main` is at `COMMIT`."""
    calls: list[tuple[Any, ...]] = []

    def download(repository: str, file: str, revision: str | None = None) -> str:
        calls.append((repository, file, revision))
        commit = revision if revision in (COMMIT, OTHER) else COMMIT
        path = tmp_path / "hub" / "models--someone--nets" / "snapshots" / commit / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(commit.encode())
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    hub.downloaded.cache_clear()
    return calls


def lock(recipe: Path, commit: str, name: str = NAME) -> None:
    stages = [{"name": "a"}, {"name": "float", hub.REVISIONS: {name: commit}}]
    recipe.with_name("recipe.lock.yaml").write_text(yaml.safe_dump({"version": 1, "stages": stages}))


def test_a_file_is_downloaded_once_and_its_commit_is_known(downloads: list[Any], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    path = pretrained.find(NAME, recipe)
    assert pretrained.find(NAME, recipe) == path
    assert downloads == [("someone/nets", "onnx/small.onnx", "main")]
    assert hub.commit(path) == COMMIT
    assert path.suffix == ".onnx"


def test_the_lock_keeps_the_commit(downloads: list[Any], tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    lock(recipe, OTHER)
    assert hub.commit(pretrained.find(NAME, recipe)) == OTHER
    assert downloads == [("someone/nets", "onnx/small.onnx", OTHER)]
    assert hub.pinned(NAME.replace("main", "v2"), recipe) == "v2", "another revision is found anew"
    assert hub.pinned(NAME.replace("main", COMMIT), recipe) == COMMIT
    lock(recipe, "../../etc")
    assert hub.pinned(NAME, recipe) == "main"
    recipe.with_name("recipe.lock.yaml").write_text("stages: 3")
    assert hub.pinned(NAME, recipe) == "main"


def test_a_name_without_a_revision_is_of_the_main_branch(downloads: list[Any], tmp_path: Path) -> None:
    pretrained.find("hf://someone/nets/a.safetensors", tmp_path / "recipe.yaml")
    assert downloads == [("someone/nets", "a.safetensors", None)]


def test_without_a_connection_the_next_act_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("cannot find the file in the disk cache: no connection")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    hub.downloaded.cache_clear()
    with pytest.raises(UserError) as caught:
        pretrained.find(NAME, tmp_path / "recipe.yaml")
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"`{NAME}` cannot be downloaded: cannot find the file")
    assert "`hf download someone/nets onnx/small.onnx`" in problem.help
    assert "`from: small.onnx`" in problem.help


class FakeHub(BaseHTTPRequestHandler):
    """What Hugging Face answers, by the repository's name."""

    refusals: ClassVar[dict[str, tuple[int, str]]] = {
        "private": (401, "RepoNotFound"), "gated": (403, "GatedRepo"), "old": (404, "RevisionNotFound"),
        "bare": (404, "EntryNotFound"),
    }  # fmt: skip

    def do_HEAD(self) -> None:
        repository = self.path.split("/")[2]
        status, word = self.refusals.get(repository, (200, ""))
        self.send_response(status)
        if word:
            self.send_header("X-Error-Code", word)
        if status == 200:
            self.send_header("ETag", '"1"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "4" if status == 200 else "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b"onnx")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The client of Hugging Face talks to a hub on this machine, with an empty cache."""
    hub.downloaded.cache_clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeHub) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{listening.server_port}"
        there = partial(huggingface_hub.hf_hub_download, endpoint=address, cache_dir=tmp_path / "cache")
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", there)
        yield address
        listening.shutdown()


def test_the_client_of_hugging_face_downloads_a_file(server: str, tmp_path: Path) -> None:
    path = pretrained.find("hf://someone/nets/a.onnx@main", tmp_path / "recipe.yaml")
    assert (path.read_bytes(), hub.commit(path)) == (b"onnx", COMMIT)


@pytest.mark.parametrize(
    ("repository", "message", "help"),
    [
        ("private", "there is no repository `someone/private`, or it is private", "`hf auth login`"),
        ("gated", "its terms are not accepted", "https://huggingface.co/someone/gated"),
        ("old", "`someone/old` has no revision `v9`", "behind `@`"),
        ("bare", "`someone/bare` has no file `a.onnx` at that revision", "path in the repository"),
    ],
)
def test_each_refusal_has_its_next_act(repository: str, message: str, help: str, server: str, tmp_path: Path) -> None:
    name = f"hf://someone/{repository}/a.onnx@v9"
    with pytest.raises(UserError) as caught:
        pretrained.find(name, tmp_path / "recipe.yaml")
    (problem,) = caught.value.problems
    assert problem.message == f"`{name}` cannot be downloaded: {message}"
    assert help in problem.help


@pytest.mark.parametrize(
    ("name", "kind"), [(NAME, "onnx"), ("hf://a/b/c.safetensors", "torch"), ("hf://a/b/c-1.0.onnx@v1/x", "onnx")]
)
def test_the_kind_of_a_file_is_that_of_its_name(name: str, kind: str) -> None:
    stage = Load.model_validate({"use": "load", "from": name})
    assert stage.kind == kind
    assert stage.files() == [name]


@pytest.mark.parametrize(
    "name",
    ["hf://a/b.onnx", "hf://a/b/c.txt", "hf://a/b/../../c.onnx", "hf://a/b/c.onnx@", "hf://a/b/c.onnx@a b", "hf://"],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="names no model file of Hugging Face"):
        Load.model_validate({"use": "load", "from": name})


def test_a_plain_checkpoint_needs_its_network() -> None:
    with pytest.raises(ValidationError, match="does not name its network"):
        Load.model_validate({"use": "load", "from": "hf://a/b/c.pth@main"})

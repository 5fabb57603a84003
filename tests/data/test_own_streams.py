"""Data sets of torch, of Hugging Face and iterables, of a user's function: the examples of docs/data.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import copied
from edgepress.data.dataset import Dataset
from edgepress.data.load import load_dataset
from edgepress.data.rows import Stored
from edgepress.data.source import Source
from PIL import Image

from .made import photos

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
HEAD = """
import numpy as np
from PIL import Image

def picture(number, size=16, mode="RGB"):
    random = np.random.default_rng(number)
    return Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8)).convert(mode)
"""


def load(folder: Path, code: str, limit: int | None = None, **options: Any) -> Dataset:
    (folder / "my_data.py").write_text(HEAD + code, encoding="utf-8")
    source = Source.model_validate({"from": "./my_data.py:load", **options})
    return load_dataset(source, limit, base=folder, cache=folder / "cache")


def example(word: str) -> str:
    """Return the code block of docs/data.md that has `word`."""
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return next(block for block in blocks if word in block)


PAIRS = """
def load(n=30):
    for number in range(n):
        yield picture(number), ["cat", "dog"][number % 2]
"""


def test_an_iterable_is_read_once(tmp_path: Path) -> None:
    counted = PAIRS.replace("yield", "open('read', 'a').write('.'); yield").replace(
        "'read'", repr(str(tmp_path / "read"))
    )
    first, again = (load(tmp_path, counted) for _ in range(2))
    assert (tmp_path / "read").read_text() == "." * 30
    assert first.digest == again.digest
    assert (first.labels, first.input.shape, first.lazy) == (("cat", "dog"), (3, 16, 16), True)
    assert sorted(len(split.y) for split in first.splits.values()) == [3, 6, 21]
    assert load(tmp_path, counted, args={"n": 20}).digest != first.digest
    copies = sorted((tmp_path / "cache" / "copies").glob("*.npz"))
    copies[0].write_bytes(b"junk")
    copies[1].write_bytes(b"junk")
    assert load(tmp_path, counted).digest == first.digest, "a damaged copy is made anew"


def test_the_rows_of_a_copy_are_the_pictures(tmp_path: Path) -> None:
    found = load(tmp_path, PAIRS)
    wanted = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8).transpose(2, 0, 1)
    assert sum((row == wanted).all() for split in found.splits.values() for row in split.x) == 1


@pytest.mark.parametrize("word", ["ImageFolder", "imagefolder", "yield", "webdataset"])
def test_the_examples_of_the_page(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if word in (library := {"imagefolder": "datasets", "webdataset": "webdataset"}):
        pytest.importorskip(library[word], exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf"))
    photos(tmp_path / "photos", each=15)
    code = example(word)
    if word == "webdataset":
        import tarfile
        from io import BytesIO

        with tarfile.open("photos.tar", "w") as tar:
            for number in range(30):
                photo = BytesIO()
                Image.fromarray(np.full((40, 48, 3), number * 8, np.uint8)).save(photo, "PNG")
                for suffix, content in (("png", photo.getvalue()), ("cls", str(number % 2).encode())):
                    info = tarfile.TarInfo(f"{number:03}.{suffix}")
                    info.size = len(content)
                    tar.addfile(info, BytesIO(content))
    found = load(tmp_path, code, size=32)
    assert found.input.shape[1:] == (32, 32)
    assert len(found.labels) == 2


def test_splits_of_ones_own_and_a_smoke_run(tmp_path: Path) -> None:
    code = """
class Pictures:
    def __init__(self, count): self.count = count
    def __len__(self): return self.count
    def __getitem__(self, number): return {"photo": np.array(picture(number)), "kind": number % 3}
def load(): return {"train": Pictures(60), "test": Pictures(12)}
"""
    found = load(tmp_path, code, image="photo", label="kind")
    assert {name: len(split.y) for name, split in found.splits.items()} == {"train": 54, "validation": 6, "test": 12}
    few = load(tmp_path, code, 4, image="photo", label="kind")
    assert max(len(split.y) for split in few.splits.values()) == 4
    stored = few["train"].x.of  # type: ignore[attr-defined]
    assert isinstance(stored, Stored)
    assert len(stored) < 20


WRONG = {
    "no pair": ("def load(): return [1, 2]", "example 0 is a int, no pair of an image and its label"),
    "nothing": ("def load(): return iter(())", "gives no examples"),
    "an empty data set": ("def load(): return []", "gives no examples"),
    "no column": (
        "class D(list):\n    column_names = ['picture', 'label']\ndef load(): return D([1])",
        "gives no column `image`, only `picture`, `label`",
    ),
    "no key": ("def load(): yield {'image': picture(0), 'kind': 1}", "example 0 has no `label`, only image, kind"),
    "other sizes": (
        "def load():\n    for n in range(30): yield picture(n, 16 + n // 20), n % 2",
        "example 20 is uint8 3 × 17 × 17, and those before it are uint8 3 × 16 × 16",
    ),
    "colour behind grey": (
        "def load():\n    for n in range(30): yield picture(n, mode='L' if n < 5 else 'RGB'), n % 2",
        "example 5 is coloured, and those before it are grey",
    ),
    "labels of two types": (
        "def load():\n    for n in range(30): yield picture(n), n if n < 7 else 'cat'",
        "the label of example 7 is text, `cat`, and of those before it a whole number",
    ),
    "no label": ("def load(): yield picture(0), None", "the label of example 0 is missing"),
    "shorter than its length": (
        "class D:\n    def __len__(self): return 40\n    def __iter__(self):\n"
        "        return ((picture(n), n % 2) for n in range(30))\ndef load(): return D()",
        "gives 30 examples, and its length is 40",
    ),
    "an error of the user's": (
        "def load():\n    for n in range(30): yield picture(n), 1 // (9 - n)",
        "`load` of `my_data.py`, at example 9, failed: ZeroDivisionError",
    ),
    "floats": ("def load():\n    for n in range(30): yield np.ones((3, 8, 8)), n % 2", "which is no kind of example"),
    "no image": ("def load(): yield b'junk', 1", "example 0 cannot be read: no image"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_error(name: str, tmp_path: Path) -> None:
    code, words = WRONG[name]
    with pytest.raises(UserError) as error:
        load(tmp_path, code)
    (problem,) = error.value.problems
    assert words in problem.message
    assert "my_data.py" in problem.message + problem.help
    assert problem.help
    assert not list((tmp_path / "cache").rglob("*.npz")), "nothing is published"


def test_the_disk_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copied.shutil, "disk_usage", lambda _: type("Usage", (), {"free": copied.RESERVE + 50_000}))
    with pytest.raises(UserError, match=r"the copy of 1000 examples takes 0.77 MB, and the disk of .* has .* to spare"):
        load(tmp_path, "def load(): return [(picture(n), n % 2) for n in range(1000)]")
    monkeypatch.setattr(copied.shutil, "disk_usage", lambda _: type("Usage", (), {"free": copied.RESERVE - 1}))
    with pytest.raises(UserError, match=r"gave 64 examples, .*, and does not end before the disk is full"):
        load(tmp_path, "import itertools\ndef load():\n    for n in itertools.count(): yield picture(n), n % 2")


def test_options_of_reading_are_for_what_comes_one_at_a_time(tmp_path: Path) -> None:
    code = "from edgepress import Examples\ndef load(): return Examples(np.zeros((20, 3)), np.arange(20) % 2)"
    with pytest.raises(UserError, match="`size` is of examples that come one at a time"):
        load(tmp_path, code, size=32)

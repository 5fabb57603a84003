"""Data sets of torch, of Hugging Face and iterables, of a user's function: the examples of docs/data.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgepress.core.errors import UserError
from edgepress.data import copied, images
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


def test_the_same_lines_in_two_folders_have_two_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their paths are relative to the file, or to where the command runs."""
    code = """
from pathlib import Path

def load():
    for number, name in enumerate(Path(WHERE, "names.txt").read_text().split()):
        yield picture(number), name
"""
    source = Source.model_validate({"from": "./my_data.py:load"})
    for where in ("Path(__file__).parent", '"."'):
        for name, names in (("a", "cat dog "), ("b", "nut bolt ")):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / "names.txt").write_text(15 * names)
            home = folder if "__file__" in where else tmp_path
            (home / "my_data.py").write_text(HEAD + code.replace("WHERE", where))
            monkeypatch.chdir(folder)
            found = load_dataset(source, None, base=home, cache=tmp_path / "cache")
            assert sorted(found.labels) == sorted(names.split())


def test_splits_that_name_their_classes_differently_are_refused(tmp_path: Path) -> None:
    code = """
from types import SimpleNamespace

class Part(list):
    column_names = ["image", "label"]

def part(*names):
    made = Part({"image": picture(number), "label": number % len(names)} for number in range(12))
    made.features = {"label": SimpleNamespace(names=list(names))}
    return made

def load():
    return {"train": part("bird", "cat", "dog"), "test": part("cat", "dog")}
"""
    with pytest.raises(UserError, match="the classes of `train` are bird, cat, dog, and of `test` cat, dog"):
        load(tmp_path, code)


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
    "longer than its length": (
        "import itertools\nclass D:\n    def __len__(self): return 40\n    def __iter__(self):\n"
        "        return ((picture(n), n % 2) for n in itertools.count())\ndef load(): return D()",
        "gives more examples, and its length is 40",
    ),
    "a loader": (
        "from torch.utils.data import DataLoader\ndef load(): return DataLoader([(picture(0), 1)])",
        "returned a DataLoader, which gives batches",
    ),
    "a truncated picture": (
        "import io\ndef load():\n    file = io.BytesIO()\n    picture(0).save(file, 'png')\n"
        "    yield Image.open(io.BytesIO(file.getvalue()[:200])), 1",
        "example 0 cannot be read: truncated",
    ),
    "a picture of floats": ("def load(): yield picture(0).convert('F'), 1", "its pixels are floating-point numbers"),
    "masks of two sizes": (
        "def load():\n    for n in range(30): yield picture(n), np.zeros((16 + n // 9, 16), np.uint8)",
        "the label of example 9 is uint8 (17, 16), and those before it are uint8 (16, 16)",
    ),
    "labels beyond 64 bits": (
        "def load():\n    for n in range(30): yield picture(n), 2**70",
        "the labels are no plain",
    ),
    "a missing picture": ("def load(): yield None, 1", "no kind of example"),
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
    assert "my_data.py" in problem.message + problem.help or name == "a loader"
    assert problem.help
    assert not list((tmp_path / "cache").rglob("*.npz")), "nothing is published"


def test_an_array_without_channels_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="example 0 cannot be read: neither end of 5 × 7 × 9"):
        load(tmp_path, "def load(): yield np.zeros((5, 7, 9), np.uint8), 1", size=16)


TORCHS = """
import torch
class D(torch.utils.data.IterableDataset):
    def __len__(self): return 30
    def __iter__(self): return ((picture(n), n % 2) for n in range(30))
def load(): return D()
"""


def test_an_iterable_of_torch_with_a_length_is_iterated(tmp_path: Path) -> None:
    """It inherits a `__getitem__` that raises."""
    assert sum(len(split.y) for split in load(tmp_path, TORCHS).splits.values()) == 30
    assert max(len(split.y) for split in load(tmp_path, TORCHS, 3).splits.values()) == 3


def test_pictures_of_every_mode_and_turn(tmp_path: Path) -> None:
    """As files of them are read: CMYK, 16-bit grey, an animation's first picture, EXIF's turn."""
    code = """
import io
def turned():
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    picture(0).crop((0, 0, 16, 8)).save(file, "jpeg", exif=exif)
    return file.getvalue()
def animated():
    file = io.BytesIO()
    picture(1).save(file, "gif", save_all=True, append_images=[picture(2)])
    return file.getvalue()
def load():
    yield from ((picture(n), n % 2) for n in range(20))
    yield picture(20, mode="CMYK"), 0
    yield picture(21, mode="P"), 1
    yield Image.fromarray(np.full((9, 9), 65535, np.uint16)), 0
    yield turned(), 1
    yield {"bytes": animated(), "path": None}, 0
    yield np.asarray(picture(25)).transpose(2, 0, 1), 1
"""
    found = load(tmp_path, code, size=12)
    assert sum(len(split.y) for split in found.splits.values()) == 26
    assert any((row == 255).all() for split in found.splits.values() for row in split.x), "16 bits are scaled"


MASKS = """
def load():
    for n in range(30): yield picture(n), np.random.default_rng(n).integers(0, 3, (16, 16), np.uint8)
"""


def test_masks_may_be_labels(tmp_path: Path) -> None:
    found = load(tmp_path, MASKS, task="segmentation")
    assert (found.labels, found["train"].y.shape[1:]) == (("0", "1", "2"), (16, 16))


def test_masks_that_take_too_much_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "free_memory", lambda: 10_000)
    with pytest.raises(UserError, match=r"30 labels of 16 × 16, which stay in memory, take 7.7 kB, more than half"):
        load(tmp_path, MASKS, task="segmentation")


def test_a_copy_that_is_deleted_during_a_run_is_told(tmp_path: Path) -> None:
    found = load(tmp_path, PAIRS)
    (rows,) = (file for file in (tmp_path / "cache" / "copies").iterdir() if not file.suffix)
    for spoil in (lambda: rows.write_bytes(b"short"), rows.unlink):
        spoil()
        with pytest.raises(UserError, match="was deleted or cut off during this run"):
            found["train"].x[:]
    assert load(tmp_path, PAIRS).digest == found.digest, "it is made anew"


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

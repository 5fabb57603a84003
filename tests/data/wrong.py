"""Wrong data: how it is made and named, and exactly what is said about it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .made import arrays, header_only, photo, photos, table

ROWS = ["a,b,label", *[f"{i},{i * 0.5},{'xy'[i % 2]}" for i in range(20)]]


def _folder(**changes: Any) -> Callable[[Path], dict[str, Any]]:
    """Good photos, and the options `changes`."""

    def make(where: Path) -> dict[str, Any]:
        photos(where / "photos")
        return {"from": "./photos", **changes}

    return make


def _spoilt(spoil: Callable[[Path], object], **changes: Any) -> Callable[[Path], dict[str, Any]]:
    """Good photos, with something done to their folder."""

    def make(where: Path) -> dict[str, Any]:
        spoil(photos(where / "photos"))
        return {"from": "./photos", **changes}

    return make


def _table(rows: list[str], **changes: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        table(where / "t.csv", rows)
        return {"from": "./t.csv", **changes}

    return make


def _listed(rows: list[str], **changes: Any) -> Callable[[Path], dict[str, Any]]:
    """A CSV of the good photos, and `rows` more."""

    def make(where: Path) -> dict[str, Any]:
        photos(where / "photos")
        good = [f"photos/{label}/{n:02}.png,{label}" for label in ("cat", "dog") for n in range(10)]
        table(where / "t.csv", ["path,kind", *good, *rows])
        return {"from": "./t.csv", "image": "path", "label": "kind", **changes}

    return make


def _arrays(**changes: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        arrays(where / "x.npz", **changes)
        return {"from": "./x.npz"}

    return make


def _bytes(name: str, content: bytes, **changes: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        (where / name).write_bytes(content)
        return {"from": f"./{name}", **changes}

    return make


def _python(code: str, **changes: Any) -> Callable[[Path], dict[str, Any]]:
    def make(where: Path) -> dict[str, Any]:
        (where / "mine.py").write_text(code)
        return {"from": "./mine.py:load", **changes}

    return make


def _truncate(folder: Path) -> None:
    path = photo(folder / "cat" / "cut.jpg", (64, 64))
    path.write_bytes(path.read_bytes()[:-400])


def _each(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / "dog" / f"bad{number}.jpg").write_text("no image")


def _with_nan() -> np.ndarray:
    x = np.zeros((20, 3), np.float32)
    x[[3, 7]] = np.nan
    return x


EXAMPLES = "import numpy as np\nfrom edgepress.data.examples import Examples\n"

WRONG: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "empty class folder": (
        _spoilt(lambda f: (f / "bird").mkdir()),
        "error: `photos`: no images in `bird`\n"
        "  = help: images are .jpg .jpeg .png .bmp .webp .tif .tiff .gif, and what else Pillow reads",
    ),
    "class folder of HEIC": (
        _spoilt(lambda f: [(f / "bird").mkdir(), (f / "bird" / "1.heic").write_bytes(b"")]),
        "error: `photos`: no images in `bird`, which has 1 .heic file\n"
        "  = help: `pip install pillow-heif` lets Pillow read them",
    ),
    "no class folders": (
        lambda w: [photo(w / "photos" / "1.png"), {"from": "./photos"}][1],
        "error: `photos` has no class folders\n"
        "  = help: one folder a class: cat/1.jpg, dog/1.jpg; or a CSV with `image`",
    ),
    "images outside": (
        _spoilt(lambda f: photo(f / "loose.png")),
        "error: `photos` has images outside of its class folders: loose.png\n"
        "  = help: move them into the folder of their class, or out of this one",
    ),
    "one class only": (
        lambda w: [photos(w / "photos", classes=("cat",)), {"from": "./photos"}][1],
        "error: `photos` has one class only, `cat`\n  = help: there is nothing to tell apart",
    ),
    "too few": (
        lambda w: [photos(w / "photos", each=1), {"from": "./photos"}][1],
        "error: `photos` has 2 different examples, and 3 splits need one each",
    ),
    "mixed sizes": (
        _spoilt(lambda f: [photo(f / "cat" / f"w{i}.png", (40, 30)) for i in range(3)]),
        "error: `photos`: the images are of 2 sizes: 12 × 12 (20), 30 × 40 (3)\n"
        "  = help: write `size: 12`, or another number of pixels",
    ),
    "one pixel": (
        lambda w: [[photo(w / "photos" / c / f"{i}.png", (1, 1)) for c in "ab" for i in range(9)], {"from": "photos"}][
            1
        ],
        "error: `photos`: all 18 images are 1 × 1 pixels\n  = help: 8 is the least; `size: 32` would enlarge them",
    ),
    "100 megapixels": (
        _spoilt(lambda f: header_only(f / "cat" / "huge.png", 10_000, 10_000), size=32),
        "error: `photos`: 1 of 21 image files cannot be read: cat/huge.png (100 megapixels, and the most"
        " is 89)\n"
        "  = help: mend them, or leave them out: `unreadable: skip`",
    ),
    "a bomb": (
        _spoilt(lambda f: header_only(f / "cat" / "huge.png", 60_000, 60_000), size=32),
        "error: `photos`: 1 of 21 image files cannot be read: cat/huge.png (it is too large to be a phot"
        "o)\n"
        "  = help: mend them, or leave them out: `unreadable: skip`",
    ),
    "truncated": (
        _spoilt(_truncate, size=32),
        "error: `photos`: 1 of 21 image files cannot be read: cat/cut.jpg (truncated)\n"
        "  = help: mend them, or leave them out: `unreadable: skip`",
    ),
    "text called jpg": (
        _spoilt(lambda f: _each(f, 7)),
        "error: `photos`: 7 of 27 image files cannot be read: dog/bad0.jpg (no image), dog/bad1.jpg (no "
        "image), dog/bad2.jpg (no image), dog/bad3.jpg (no image), dog/bad4.jpg (no image) and 2 more\n"
        "  = help: mend them, or leave them out: `unreadable: skip`",
    ),
    "an empty file": (
        _spoilt(lambda f: (f / "cat" / "none.png").write_bytes(b"")),
        "error: `photos`: 1 of 21 image files cannot be read: cat/none.png (no image)\n"
        "  = help: mend them, or leave them out: `unreadable: skip`",
    ),
    "nothing readable": (
        lambda w: [
            photos(w / "photos", 0),
            [(w / "photos" / c).mkdir(parents=True) for c in "ab"],
            [(w / "photos" / c / "1.jpg").write_text("x") for c in "ab"],
            {"from": "photos", "unreadable": "skip"},
        ][-1],
        "error: `photos`: none of 2 image files can be read: a/1.jpg (no image), b/1.jpg (no image)"
        "\n  = help: mend them, or name another folder",
    ),
    "group finds nothing": (
        _folder(group=r"(subject\d+)"),
        "error: `photos`: `group: (subject\\d+)` finds nothing in 20 of 20 paths: cat/00.png, cat/01.png,"
        " cat/02.png, cat/03.png, cat/04.png and 15 more",
    ),
    "one group": (
        _folder(group="(/)"),
        "error: `photos` has 1 group, and 3 splits need one each\n"
        "  = help: is `group` what you mean? its examples are kept together",
    ),
    "group of a class": (
        _folder(group="cat|dog"),
        "error: `photos` has 2 groups, and 3 splits need one each\n"
        "  = help: is `group` what you mean? its examples are kept together",
    ),
    "archive": (
        _bytes("p.zip", b"PK"),
        'mine.yaml:1:16: `from`: archives are not read, got `"./p.zip"`\n'
        '   1 | data: {"from": "./p.zip"}\n'
        "     |                ^^^^^^^^^\n"
        "     = help: unpack it, and name the folder",
    ),
    "no such folder": (
        _spoilt(lambda f: f.rename(f.parent / "photo")),
        'mine.yaml:1:16: `from`: there is no file or folder `./photos`, got `"./photos"`\n'
        '   1 | data: {"from": "./photos"}\n'
        "     |                ^^^^^^^^^^\n"
        "     = help: did you mean `photo`?",
    ),
    "a kind that is not read": (
        _bytes("x.npy", b""),
        'mine.yaml:1:16: `from`: `./x.npy` is a file of no kind that is read, got `"./x.npy"`\n'
        '   1 | data: {"from": "./x.npy"}\n'
        "     |                ^^^^^^^^^\n"
        "     = help: a folder of images, a .csv, an .npz, `hf://OWNER/NAME` and `FILE.py:FUNCTION` are read",
    ),
    "function not named": (
        _bytes("mine.py", b""),
        'mine.yaml:1:16: `from`: `./mine.py` names no function, got `"./mine.py"`\n'
        '   1 | data: {"from": "./mine.py"}\n'
        "     |                ^^^^^^^^^^^\n"
        "     = help: for example `./mine.py:load`",
    ),
    "option of another kind": (
        _folder(columns=["a"]),
        "mine.yaml:1:7: `data`: `columns` is an option of a CSV, and `from` names a folder of images\n"
        '   1 | data: {"from": "./photos", "columns": ["a"]}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ),
    "group is no expression": (
        _folder(group="(a"),
        "mine.yaml:1:7: `data`: `group` is not a regular expression: missing ), unterminated subpattern "
        "at position 0\n"
        '   1 | data: {"from": "./photos", "group": "(a"}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    ),
    "moments of pixels to 255": (
        _folder(normalize={"mean": [123.7], "std": [0.2]}),
        "mine.yaml:1:7: `data`: `normalize` is of pixels from 0 to 1, whose mean and deviation are no more than that\n"
        '   1 | data: {"from": "./photos", "normalize": {"mean": [123.7], "std": [0.2]}}\n'
        "     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: numbers for pixels from 0 to 255 are divided by 255",
    ),
    "shares": (
        _folder(split={"validation": "50%", "test": "50%"}),
        "mine.yaml:1:37: `split`: a share is more than 0%, and the two leave 10% or more for training\n"
        '   1 | data: {"from": "./photos", "split": {"validation": "50%", "test": "50%"}}\n'
        "     |                                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "     = help: for example {validation: 10%, test: 20%}",
    ),
    "no label column": (
        _table(["a,b,kin", "1,2,x"], label="kind"),
        "error: `t.csv` has no column `kind` (`label`)\n  = help: did you mean `kin`?",
    ),
    "label not said": (
        _table(["a,b", "1,2"]),
        "error: `t.csv`: which column is the label?\n  = help: write `label:`, one of `a`, `b`",
    ),
    "empty CSV": (_bytes("t.csv", b""), "error: `t.csv` has no rows\n  = help: the first line names the columns"),
    "header only": (_table(["a,label"]), "error: `t.csv` has no rows\n  = help: the first line names the columns"),
    "ragged CSV": (
        _table([*ROWS, "1,2"]),
        "error: `t.csv`: line 22 has 2 values, and the header 3\n"
        "  = help: text or numbers with a comma go into quotes, or `;` between the columns",
    ),
    "thousands or decimals": (
        _table(["a\tlabel", *[f"{i},{i}00\tx{i % 2}" for i in range(1, 10)]]),
        "error: `t.csv`: the comma in column `a` is a decimal comma or parts thousands: line 2 `1,100`, line 3 "
        "`2,200`, line 4 `3,300`, line 5 `4,400`, line 6 `5,500` and 4 more\n"
        "  = help: write numbers with a decimal point, and thousands without a separator",
    ),
    "decimal commas and points": (
        _table(["a;label", *[f"{i},5;x{i % 2}" for i in range(20)], "2.5;x0"]),
        "error: `t.csv`: column `a` has numbers with a decimal comma and with a decimal point: line 2 `0,5`, "
        "line 22 `2.5`\n  = help: write all with the same one",
    ),
    "a quantity with a gap": (
        _table(["a,label", *[f"{i},{i}.5" for i in range(20)], "1,NA"]),
        "error: `t.csv`: no number in column `label`, whose others are: line 22 `NA`\n"
        "  = help: fill it in, or leave the row out; `task: single-label` takes every cell as a class",
    ),
    "commas in labels": (
        _table(["a,label", *[f'{i},"1,{i % 3}"' for i in range(20)]]),
        "error: `t.csv`: commas in the labels of column `label`: line 2 `1,0`, line 3 `1,1`, line 4 `1,2`, line 5 "
        "`1,0`, line 6 `1,1` and 15 more\n"
        "  = help: write `task: regression` for numbers with a decimal comma, `single-label` or `multi-label` for "
        "classes",
    ),
    "splits beside another folder": (
        lambda w: [photos(w / "photos" / part, 2) for part in ("train", "val", "more")] and {"from": "./photos"},
        "error: `photos` has `train` and `val`, splits with class folders, beside `more`\n"
        "  = help: move the other folders elsewhere, or rename those that are splits",
    ),
    "CSV in Latin-1": (
        _bytes("t.csv", "a,label\n1,é\n".encode("latin-1")),
        "error: `t.csv` is no CSV in UTF-8: 'utf-8' codec can't decode byte 0xe9 in position 10: invalid"
        " continuation byte\n"
        "  = help: export it as `CSV UTF-8`",
    ),
    "NaN in a CSV": (
        _table([*ROWS, "nan,1,x", ",1,y", "1,n/a,x"]),
        "error: `t.csv`: no number in column `a`: line 22 `nan`, line 23\n"
        "  = help: fill it in, leave the row out, or name the input columns: `columns: [a, b]`",
    ),
    "missing label": (
        _table([*ROWS, "1,1,"]),
        "error: `t.csv`: no label in column `label`: line 22\n  = help: fill it in, or leave the row out",
    ),
    "learning from the label": (
        _table(ROWS, columns=["a", "label"]),
        "error: `t.csv`: `label` is the label, and cannot be an input\n  = help: take it out of `columns`",
    ),
    "whole numbers, all different": (
        _table(["a,label", *[f"{i},{i * 7}" for i in range(30)]]),
        "error: `t.csv`: column `label` has 30 different whole numbers in 30 rows\n"
        "  = help: say which it is: `task: regression` for a quantity, `task: single-label` for classes",
    ),
    "missing images": (
        _listed([f"photos/cat/no{i}.png,cat" for i in range(7)]),
        "error: `t.csv`: image files that are not there: line 22 `photos/cat/no0.png`, line 23 `photos/c"
        "at/no1.png`, line 24 `photos/cat/no2.png`, line 25 `photos/cat/no3.png`, line 26 `photos/cat/no"
        "4.png` and 2 more\n"
        "  = help: paths count from the CSV's folder",
    ),
    "path escapes": (
        _listed(["../secret.png,cat", "/etc/passwd,dog", r"C:\x.png,cat"]),
        "error: `t.csv`: images outside of its folder: line 22 `../secret.png`, line 23 `/etc/passwd`, l"
        "ine 24 `C:\\x.png`\n"
        "  = help: put the CSV above its images; paths count from its folder",
    ),
    "the same image twice": (
        _listed(["photos/cat/00.png,dog"]),
        "error: `t.csv`: images that stand in several rows: line 2 `photos/cat/00.png`, line 22 `photos/"
        "cat/00.png`\n"
        "  = help: keep one row each",
    ),
    "group with one value": (
        _table(["a,label,who", *[f"{i},{i % 2},anna" for i in range(20)]], group="who"),
        "error: `t.csv` has 1 group, and 3 splits need one each\n"
        "  = help: is `group` what you mean? its examples are kept together",
    ),
    "object npz": (
        _arrays(x=np.array([{}] * 20, dtype=object)),
        "error: `x.npz`: `x` holds Python objects, which are pickled and never loaded\n"
        "  = help: save arrays of numbers or of text: `numpy.asarray(x, dtype=…)`",
    ),
    "a pickle called npz": (
        _bytes("x.npz", pickle.dumps([1, 2])),
        "error: `x.npz` is not an .npz: File is not a zip file\n  = help: write it with numpy.savez",
    ),
    "NaN in arrays": (
        _arrays(x=_with_nan()),
        "error: `x.npz`: `x` has values that are NaN, infinite or too large for float32, in 2 of 20 rows"
        "; rows from 0: 3, 7\n"
        "  = help: fill them in, or leave these rows out",
    ),
    "labels do not match": (_arrays(y=np.arange(19) % 2), "error: `x.npz`: `x` has 20 examples, and `y` has 19"),
    "labels outside": (
        _arrays(y=np.arange(20) % 3, labels=np.array(["a", "b"])),
        "error: `x.npz`: `y` has classes from 0 to 2, and 2 labels count from 0",
    ),
    "labels not whole": (
        lambda w: [arrays(w / "x.npz", y=np.zeros(20)), {"from": "x.npz", "task": "single-label"}][1],
        "error: `x.npz`: `y` is float64 (20,), and single-label takes one whole number or one text an ex"
        "ample\n"
        "  = help: `task: regression` learns numbers, and `task: multi-label` takes 0 and 1 of shape (n,"
        " labels)",
    ),
    "unknown array": (_arrays(Y=np.zeros(20)), "error: `x.npz` has an array `Y`\n  = help: did you mean `y`?"),
    "no y": (
        _arrays(y=None),
        "error: `x.npz` has no array `y`, only x\n  = help: examples without labels: `labels: none`",
    ),
    "which are the channels": (
        _arrays(x=np.zeros((20, 3, 28, 3), np.uint8)),
        "error: `x.npz`: `x` is uint8 (20, 3, 28, 3): which dimension is the channels'?\n"
        "  = help: one of the second and the last is to be 1, 3 or 4; the other is not",
    ),
    "no channels": (
        _arrays(x=np.zeros((20, 9, 9, 9), np.uint8)),
        "error: `x.npz`: `x` is uint8 (20, 9, 9, 9): which dimension is the channels'?\n"
        "  = help: one of the second and the last is to be 1, 3 or 4; the other is not",
    ),
    "float images": (
        _arrays(x=np.zeros((20, 3, 9, 9), np.float32)),
        "error: `x.npz`: `x` is float32 (20, 3, 9, 9), which is no kind of example\n"
        "  = help: images are uint8 of 3 or 4 dimensions, series are float (n, channels, length), number"
        "s are float (n, columns) and tokens are integers (n, length)",
    ),
    "negative tokens": (
        _arrays(x=np.full((20, 3), -1)),
        "error: `x.npz`: `x` has tokens from -1 to -1, and ids are whole numbers from 0 to 16 million\n"
        "  = help: save numbers as float32; they are not ids",
    ),
    "splits of two shapes": (
        lambda w: [
            arrays(
                w / "x.npz",
                x=None,
                y=None,
                train_x=np.zeros((9, 2)),
                train_y=np.arange(9) % 2,
                test_x=np.zeros((3, 4)),
                test_y=np.arange(3) % 2,
            ),
            {"from": "x.npz"},
        ][1],
        "error: `x.npz`: `test_x` is float64 (3, 4), and `train_x` is float64 (9, 2)",
    ),
    "a class that only the test has": (
        lambda w: [
            arrays(
                w / "x.npz",
                x=None,
                y=None,
                train_x=np.arange(18.0).reshape(9, 2),
                train_y=np.arange(9) % 2,
                test_x=np.zeros((3, 2)),
                test_y=np.arange(3),
            ),
            {"from": "x.npz"},
        ][1],
        "error: `x.npz` has no training examples of `2`\n  = help: add some, or take the label out",
    ),
    "no such function": (
        _python("def laod(): pass\n"),
        'mine.yaml:1:16: `from`: `mine.py` has no function `load`, got `"./mine.py:load"`\n'
        '   1 | data: {"from": "./mine.py:load"}\n'
        "     |                ^^^^^^^^^^^^^^^^\n"
        "     = help: did you mean `laod`?",
    ),
    "user's code raises": (
        _python("def load(count):\n    return [1][count]\n", args={"count": 3}),
        "error: `load` of `mine.py` failed: IndexError: list index out of range\n  = help: at mine.py:2",
    ),
    "user's code does not parse": (
        _python("def load(:\n"),
        'mine.yaml:1:16: `from`: `mine.py` failed: SyntaxError: invalid syntax, got `"./mine.py:load"`\n'
        '   1 | data: {"from": "./mine.py:load"}\n'
        "     |                ^^^^^^^^^^^^^^^^\n"
        "     = help: at mine.py:1",
    ),
    "user's arguments": (
        _python("def load(): pass\n", args={"n": 1}),
        "error: `load` of `mine.py` failed: TypeError: load() got an unexpected keyword argument 'n'\n"
        "  = help: at mine.py",
    ),
    "wrong return type": (
        _python("def load(): return 1\n"),
        "error: `./mine.py:load` returned a int\n"
        "  = help: return `edgepress.Examples(x, y)`, an `edgepress.Dataset`, or a data set of (image, label)",
    ),
    "user's labels do not match": (
        _python(EXAMPLES + "def load(): return Examples(np.zeros((9, 2)), np.arange(8))\n"),
        "error: `mine.py`: `x` has 9 examples, and `y` has 8",
    ),
}

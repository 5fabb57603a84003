"""`text`: topics of 12,000 WordNet 3.0 noun definitions, eight classes; shipped.

The class is the lexicographer file that a noun stands in. Definitions with one hypernym (two kinds of oak, two towns)
resemble each other, so all of them are in one split. A device tokenizes as `tokens` does: lower case, every run of
a–z and 0–9 is a word, its id is its place in the list `words` of `text-vocabulary.json`, 1 when it is not there;
the first `length` ids, then 0 up to `length`.

`python -m edgepress.data.text FOLDER` makes both files anew from WordNet's `data.noun` (Debian: `wordnet-base`), the
same bytes of data each time.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from ..core.paths import SHIPPED, replacing
from .dataset import Dataset, Input, Split

NAME = "text"
FILE = SHIPPED / "text.tsv.gz"
VOCABULARY = SHIPPED / "text-vocabulary.json"
LABELS = ("animal", "artifact", "body", "food", "person", "place", "plant", "substance")
LENGTH = 24
"""Words of a definition that are looked at; nineteen of twenty have no more."""
SIZES = {"train": 1_100, "validation": 200, "test": 200}
"""Definitions of each class."""

_FILES = dict(zip(("05", "06", "08", "13", "18", "15", "20", "27"), LABELS, strict=True))
"""WordNet's numbers of the lexicographer files, lexnames(5WN)."""
_SIBLINGS = 40
"""Most definitions taken with one hypernym; there are hundreds of genera and of towns."""


def known_words() -> list[str]:
    """Return the words of the vocabulary in the order of their ids, after padding and unknown."""
    words: list[str] = json.loads(VOCABULARY.read_text("utf-8"))["words"]
    return words


def read() -> Dataset:
    words = known_words()
    rows = [line.split("\t") for line in gzip.decompress(FILE.read_bytes()).decode().splitlines()]
    splits = {}
    for name in SIZES:
        texts, labels = zip(*((text, LABELS.index(label)) for part, label, text in rows if part == name), strict=True)
        splits[name] = Split(tokens(texts, words), np.array(labels, np.int64))
    input = Input("input", "tokens", (LENGTH,), vocabulary=len(words))
    return Dataset(NAME, LABELS, splits, (input,), source=FILE.name)


def tokens(texts: Sequence[str], words: Sequence[str], length: int = LENGTH) -> np.ndarray:
    """Return ids int64 (n, length) of `texts`: 0 pads, 1 is a word that the vocabulary `words` has not."""
    ids = {word: i for i, word in enumerate(words)}
    token_ids = np.zeros((len(texts), length), np.int64)
    for row, text in zip(token_ids, texts, strict=True):
        line = [ids.get(word, 1) for word in split(text)[:length]]
        row[: len(line)] = line
    return token_ids


def split(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def vocabulary(texts: Sequence[str]) -> list[str]:
    """List padding, unknown, and the words that at least two of `texts` hold, most frequent first."""
    counts = Counter(word for text in texts for word in sorted(set(split(text))))
    return ["<padding>", "<unknown>", *sorted((w for w, n in counts.items() if n > 1), key=lambda w: (-counts[w], w))]


def make(folder: Path) -> None:
    """Draw the same number of each class from WordNet, hypernym by hypernym, and write texts and vocabulary."""
    random = np.random.default_rng(0)
    rows: list[tuple[str, str, str]] = []
    siblings: dict[str, dict[str, list[str]]] = {label: defaultdict(list) for label in LABELS}
    for label, hypernym, text in _definitions(folder / "data.noun"):
        siblings[label][hypernym].append(text)
    for label, groups in siblings.items():
        names = sorted(groups)
        random.shuffle(names)
        for name, size in SIZES.items():
            taken: list[str] = []
            while len(taken) < size:
                taken += groups[names.pop()][:_SIBLINGS]
            rows += [(name, label, text) for text in taken[:size]]
    random.shuffle(rows)
    words = vocabulary([text for name, _, text in rows if name == "train"])
    with replacing(FILE) as temporary, temporary.open("wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as packed:
        packed.write("".join("\t".join(row) + "\n" for row in rows).encode())
    with replacing(VOCABULARY) as temporary:
        temporary.write_text(json.dumps({"length": LENGTH, "words": words}) + "\n", "utf-8")


def _definitions(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield class, hypernym and definition of every noun in the eight files, without examples; each definition once."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"`{path}` cannot be read: {error}", "`apt install wordnet-base`, /usr/share/wordnet"
        ) from error
    seen: set[str] = set()
    for line in lines:
        entry, _, gloss = line.partition(" | ")
        fields = entry.split()
        text = re.split(r'[;:,]?\s*"', gloss)[0].strip()
        hypernym = next((b for a, b in pairwise(fields) if a in ("@", "@i")), "")
        if line[0] != " " and fields[1] in _FILES and len(split(text)) > 3 and text not in seen:
            seen.add(text)
            yield _FILES[fields[1]], hypernym, text


if __name__ == "__main__":
    make(Path(sys.argv[1]))

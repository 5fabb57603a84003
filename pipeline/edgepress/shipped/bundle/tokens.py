"""Make the token ids of a text: every run of a–z and 0–9 in lower case is a word, its id its place in vocabulary.json.

0 fills up to the length, and 1 is a word that the vocabulary does not have.
"""

import json
import re
from pathlib import Path

import numpy as np

VOCABULARY = json.loads((Path(__file__).parent / "vocabulary.json").read_text(encoding="utf-8"))
IDS = {word: number for number, word in enumerate(VOCABULARY["words"])}


def tokens(text):
    """Return int64 (length,)."""
    words = re.findall(r"[a-z0-9]+", text.lower())[: VOCABULARY["length"]]
    ids = np.zeros(VOCABULARY["length"], np.int64)
    ids[: len(words)] = [IDS.get(word, 1) for word in words]
    return ids

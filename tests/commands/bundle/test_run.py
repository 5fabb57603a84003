"""`run.py` of an archive reads photos as the pipeline does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from edgepress.commands.bundle.command import TEMPLATES
from edgepress.data import images
from PIL import Image

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (5, 7), np.uint8)
COLOUR = RANDOM.integers(0, 256, (5, 7, 3), np.uint8)
ALPHA = RANDOM.integers(0, 256, (5, 7, 1), np.uint8)
DEEP = RANDOM.integers(0, 65536, (5, 7)).astype(np.uint16)
PALETTE = Image.fromarray(COLOUR).quantize(8)
PHOTOS = {
    "grey.png": Image.fromarray(GREY),
    "colour.png": Image.fromarray(COLOUR),
    "grey-alpha.png": Image.fromarray(np.dstack([GREY[..., None], ALPHA]), "LA"),
    "colour-alpha.png": Image.fromarray(np.dstack([COLOUR, ALPHA])),
    "palette.png": PALETTE,
    "deep.png": Image.fromarray(DEEP),
    "deep.tif": Image.fromarray(DEEP),
    "wide.tif": Image.fromarray(DEEP.astype(np.int32)),
}


@pytest.mark.parametrize("color", ["grey", "rgb"])
@pytest.mark.parametrize("name", [*PHOTOS, "palette-alpha.png"])
def test_a_photo_has_the_pixels_of_the_pipeline(
    name: str, color: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"threads": 1, "inputs": [{"color": color}]}
    monkeypatch.setitem(sys.modules, "preprocess", SimpleNamespace(MODEL=model, decode=None, preprocess=None))
    spec = importlib.util.spec_from_file_location("bundled_run", TEMPLATES / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path / name
    if name in PHOTOS:
        PHOTOS[name].save(path)
    else:
        PALETTE.save(path, transparency=3)
    expected = np.asarray(images.decoded(path, "L" if color == "grey" else "RGB", 1000))
    found = module.photo(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected[:, :, None] if color == "grey" else expected)

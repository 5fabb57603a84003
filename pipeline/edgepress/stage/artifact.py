"""Define the models that stages take and make, as files in the cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["torch", "onnx", "tflite"]
MAIN_FILE: dict[Kind, str] = {"torch": "model.safetensors", "onnx": "model.onnx", "tflite": "model.tflite"}


@dataclass(frozen=True)
class Artifact:
    """A model in a folder of the cache: its main file is `MAIN_FILE[kind]`.

    A quantized model has one file for each integer preset instead: `presets` maps `x86` or `xnnpack` to its name,
    the host's first. `notes` describe how the stage went, as JSON data.
    """

    kind: Kind
    folder: Path
    presets: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Return the main file; for a quantized model the host's."""
        return self.folder / next(iter(self.presets.values()), MAIN_FILE[self.kind])

    def preset(self, name: str) -> Path:
        """Return the file for an integer preset; an artifact without presets is the same for all."""
        return self.folder / self.presets[name] if self.presets else self.path


@dataclass(frozen=True)
class Made:
    """The result of `Stage.run`, beside the files that it wrote into `Context.folder`.

    `warnings` among the notes, a list of texts, are printed as the stage's. `summary` is the report's lines on how it
    went, such as `50.0% of the weights are zero`; the stage's name is put before each.
    """

    kind: Kind
    presets: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)

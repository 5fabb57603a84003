"""The stages a recipe can use: one row each."""

from __future__ import annotations

from ..stage import Stage
from .convert import ConvertTflite
from .distill import DistillKD
from .export import ExportOnnx
from .fuse import FuseEnsemble, FuseSoupGreedy, FuseSoupUniform
from .load import Load
from .prune import PruneChannels
from .quantize import QuantizeDynamic, QuantizeStatic
from .train import Train

TABLE: dict[str, type[Stage]] = {
    "train": Train,
    "load": Load,
    "fuse.ensemble": FuseEnsemble,
    "fuse.soup.uniform": FuseSoupUniform,
    "fuse.soup.greedy": FuseSoupGreedy,
    "distill.kd": DistillKD,
    "prune.channels": PruneChannels,
    "export.onnx": ExportOnnx,
    "quantize.static": QuantizeStatic,
    "quantize.dynamic": QuantizeDynamic,
    "convert.tflite": ConvertTflite,
}

"""The stages a recipe can use: one row each."""

from __future__ import annotations

from ..stage import Stage
from .convert import ConvertTflite
from .distill import DistillAT, DistillDIST, DistillDKD, DistillFitnet, DistillKD, DistillRKD
from .export import ExportOnnx
from .fuse import FuseEnsemble, FuseSoupGreedy, FuseSoupUniform
from .load import Load
from .prune import PruneChannels
from .quantize import QuantizeDynamic, QuantizeStatic
from .train import FuseEma, FuseSwa, Train

TABLE: dict[str, type[Stage]] = {
    "train": Train,
    "load": Load,
    "fuse.ensemble": FuseEnsemble,
    "fuse.soup.uniform": FuseSoupUniform,
    "fuse.soup.greedy": FuseSoupGreedy,
    "fuse.swa": FuseSwa,
    "fuse.ema": FuseEma,
    "distill.kd": DistillKD,
    "distill.dkd": DistillDKD,
    "distill.dist": DistillDIST,
    "distill.fitnet": DistillFitnet,
    "distill.at": DistillAT,
    "distill.rkd": DistillRKD,
    "prune.channels": PruneChannels,
    "export.onnx": ExportOnnx,
    "quantize.static": QuantizeStatic,
    "quantize.dynamic": QuantizeDynamic,
    "convert.tflite": ConvertTflite,
}

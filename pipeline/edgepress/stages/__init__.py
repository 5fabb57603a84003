"""List the stages that a recipe can use: one row each."""

from __future__ import annotations

from ..stage import Stage
from .convert import ConvertLitert, ConvertTflite
from .distill.feature_stages import DistillAT, DistillCWDFeatures, DistillFitnet, DistillRKD
from .distill.stages import DistillCWD, DistillDIST, DistillDKD, DistillKD
from .export import ExportNms, ExportOnnx
from .fuse.ensemble import FuseEnsemble, FuseStack
from .fuse.soup import (
    FuseDare,
    FuseModelStock,
    FuseSlerp,
    FuseSoupGreedy,
    FuseSoupUniform,
    FuseSoupWeighted,
    FuseTaskArithmetic,
    FuseTies,
)
from .load import Load
from .prune import PruneChannels
from .quantize.aware import QuantizeAware
from .quantize.precision import QuantizeFloat16, QuantizeInt16, QuantizeWeights
from .quantize.static import QuantizeDynamic, QuantizeStatic
from .train import FuseEma, FuseSwa, Train

TABLE: dict[str, type[Stage]] = {
    "train": Train,
    "load": Load,
    "fuse.ensemble": FuseEnsemble,
    "fuse.stack": FuseStack,
    "fuse.soup.uniform": FuseSoupUniform,
    "fuse.soup.weighted": FuseSoupWeighted,
    "fuse.soup.greedy": FuseSoupGreedy,
    "fuse.slerp": FuseSlerp,
    "fuse.task_arithmetic": FuseTaskArithmetic,
    "fuse.ties": FuseTies,
    "fuse.dare": FuseDare,
    "fuse.model_stock": FuseModelStock,
    "fuse.swa": FuseSwa,
    "fuse.ema": FuseEma,
    "distill.kd": DistillKD,
    "distill.dkd": DistillDKD,
    "distill.dist": DistillDIST,
    "distill.cwd": DistillCWD,
    "distill.cwd-features": DistillCWDFeatures,
    "distill.fitnet": DistillFitnet,
    "distill.at": DistillAT,
    "distill.rkd": DistillRKD,
    "prune.channels": PruneChannels,
    "export.onnx": ExportOnnx,
    "export.nms": ExportNms,
    "quantize.static": QuantizeStatic,
    "quantize.aware": QuantizeAware,
    "quantize.dynamic": QuantizeDynamic,
    "quantize.weights": QuantizeWeights,
    "quantize.float16": QuantizeFloat16,
    "quantize.int16": QuantizeInt16,
    "convert.tflite": ConvertTflite,
    "convert.litert": ConvertLitert,
}

"""litert-torch and ai-edge-quantizer: a torch module as TFLite, in float or as `static_wi8_ai8`.

The source is a `.safetensors` file that names its network. Images become channels-last. Options: `integers`,
`algorithm`, a name of ai-edge-quantizer's `AlgorithmName`, and `heads`, for a detector to have an output for each.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import litert_torch
import torch
from ai_edge_quantizer import algorithm_manager, qtyping, quantizer, recipe
from edgepress.models import checkpoint
from edgepress.models.detectors import Heads

from . import Job


def main() -> None:
    job = Job.read()
    module, description = checkpoint.load(job.source)
    examples = [tuple(map(torch.from_numpy, row)) for row in job.rows]
    module = module.to(memory_format=torch.contiguous_format)
    if job.options.get("heads"):
        module = Heads(module)
    if description.channels:
        module = litert_torch.to_channel_last_io(module, args=[0])
        examples = [tuple(each.movedim(1, -1).contiguous() for each in row) for row in examples]
    converted = litert_torch.convert(module.eval(), examples[0])
    if not job.options.get("integers"):
        converted.export(str(job.out))
        return
    with tempfile.TemporaryDirectory() as work:
        plain = Path(work, "float.tflite")
        converted.export(str(plain))
        job.out.write_bytes(_integers(plain, examples, job.options))
    job.done()


def _integers(plain: Path, examples: list[tuple[torch.Tensor, ...]], options: dict[str, str]) -> bytes:
    chosen = {"algorithm_key": algorithm_manager.AlgorithmName[options["algorithm"]]} if "algorithm" in options else {}
    found = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8(**chosen))
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):  # as every other file here
        found.update_quantization_recipe(".*", end, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)
    feeds = [{f"args_{k}": value.numpy() for k, value in enumerate(row)} for row in examples]
    ranges = found.calibrate({"serving_default": feeds}, num_threads=1)
    return bytes(found.quantize(ranges).quantized_model)


if __name__ == "__main__":
    main()

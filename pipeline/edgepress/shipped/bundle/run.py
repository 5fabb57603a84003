"""Run the model on photos, on texts, or on raw values of all its inputs in .npy files.

python run.py PHOTO…       (with Pillow)
python run.py "TEXT"…      (where tokens.py is)
python run.py RAW.npy…     one file an input: an image is uint8 (height, width, channels)
"""

import sys
from pathlib import Path

import numpy as np
from preprocess import MODEL, decode, preprocess


class Model:
    """`model(*inputs)` runs the file; inputs are those of `preprocess`, outputs in the order of model.json."""

    def __init__(self, threads=MODEL["threads"]):
        path = str(Path(__file__).parent / MODEL["file"])
        self._run = (_onnxruntime if path.endswith(".onnx") else _interpreter)(path, threads)

    def __call__(self, *inputs):
        return self._run(inputs)


def _onnxruntime(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entry["name"] for entry in MODEL["inputs"]]
    outputs = [entry["name"] for entry in MODEL["outputs"]]
    return lambda inputs: session.run(outputs, dict(zip(names, inputs)))


def _interpreter(path, threads):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        from tflite_runtime.interpreter import Interpreter
    interpreter = Interpreter(model_path=path, num_threads=threads)
    runner = interpreter.get_signature_runner()

    def run(inputs):
        found = runner(**dict(zip((entry["name"] for entry in MODEL["inputs"]), inputs)))
        return [found[entry["name"]] for entry in MODEL["outputs"]]

    return run


def photo(path):
    """Return uint8 (height, width, channels) of an image file, upright, on white, of 16-bit grey the high 8."""
    from PIL import Image, ImageOps

    grey = MODEL["inputs"][0]["color"] == "grey"
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # Pillow's own conversion clips at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"the pixels of {path} are wider than 16 bits")
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))
    elif image.mode[-1] in "Aa" or "transparency" in image.info:  # `has_transparency_data` needs Pillow 10.1
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    picture = np.asarray(image.convert("L" if grey else "RGB"))
    return picture[:, :, None] if grey else picture


def _raws(words):
    """Return the raw inputs of each example, by its name."""
    if all(word.endswith(".npy") for word in words):
        return {" ".join(words): [np.load(word) for word in words]}
    if (Path(__file__).parent / "tokens.py").is_file():
        from tokens import tokens

        return {word: [tokens(word)] for word in words}
    return {word: [photo(word)] for word in words}


def _placed(found, picture):
    """Return boxes in pixels of the picture."""
    from boxes import on_picture

    entry = MODEL["inputs"][0]
    how = entry["size"], picture.shape[:2], entry["resize"] or "crop"
    return [(label, score, on_picture(box, *how).round(1).tolist()) for label, score, box in found]


def main(words):
    model = Model()
    for name, raws in _raws(words).items():
        found = decode(*model(*preprocess(*raws)))
        found = _placed(found, raws[0]) if "decode" in MODEL else found
        print(f"{name}: {found[:5] if isinstance(found, list) else found}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])

"""`show` says of every option what it is, where that is from, and what it means, within 100 columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgepress.commands import catalog, show
from edgepress.config import schema
from edgepress.config.recipe import Recipe
from edgepress.core.errors import UserError
from edgepress.stages import TABLE

from tests.conftest import edgepress, laid_out

TEXT = """\
name: n
task: {data: digits}
stages:
  - {use: train, name: base, model: timm/resnet18, lr: 1e-4}
  - {use: export.onnx}
  - {use: quantize.static, samples: 64}
keep: {accuracy_drop: 2 points}
targets: [desk.yaml]
"""


def test_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    assert (
        show.show("recipe.yaml", ["stages.base.epochs=3"])
        == """\
n  recipe.yaml

option              value          from     meaning
name                n              recipe   name of the run, its report and its lock file
task.data           digits         recipe   data set by name, or your own: a folder of images, a
                                            .csv, an .npz, `hf://OWNER/NAME` or `./my_data.py:load`
                                            (clutter, digits, fashion-mnist, fashion-mnist-10k,
                                            recommend, scenes, sensor, text)
task.metric         accuracy       default  metric to evaluate models by, or your own function
                                            `./my_metric.py:f`
task.seed           0              default  random seed of the whole recipe
task.examples       —              default  number of training examples to use, for experiments
task.labels         —              default  number of training labels to keep; `distill.*` uses the
                                            others unlabelled
task.unlabelled     —              default  additional unlabelled examples for `distill.*`, written
                                            like your own `data`
task.label_noise    —              default  share of training labels replaced by wrong ones, to
                                            compare the robustness of methods, such as 30%
task.imbalance      —              default  class imbalance to make: training classes are thinned
                                            out, the first least and the last most, such as 50:1
reference           base           default  name of the result that accuracy drops are measured
                                            against; by default the teacher of the first
                                            distillation, or else the input of the first stage that
                                            changes a model
keep.accuracy_drop  2 points       recipe   largest drop of accuracy below the reference
keep.metric_drop    —              default  largest drop of the recipe's metric below the reference;
                                            for an error metric its largest growth, `5%`, and for
                                            PSNR `0.5 dB`, such as 1.5 points
keep.map_drop       —              default  detection: the same for `metric: map`, largest drop of
                                            mean average precision below the reference, such as 1.5
                                            points
targets             [desk.yaml]    recipe   names of target profiles, or paths that end in .yaml;
                                            `{use: NAME, budgets: {…}}` adds budgets; [] judges by
                                            `keep` alone
card.intended_use   —              default  what the model is meant for, and what not
card.weights        —              default  licence of the weights
card.data           —              default  licence of the data
card.code           —              default  licence of the network's code

stages.base  train
  epochs            3              --set    passes over the training examples
  batch             128            default  batch size, over all processes
  accumulate        1              default  batches whose gradients are averaged for one optimizer
                                            step
  lr                0.0001         recipe   peak learning rate of the schedule (AdamW)
  schedule          one-cycle      default  shape of the learning rate: warm-up and decay, cosine
                                            decay, or constant (one-cycle, cosine, constant)
  weight_decay      0.05           default  AdamW's decoupled weight decay
  precision         fp32           default  precision of the forward and backward pass; `fp16` needs
                                            a GPU (fp32, bf16, fp16)
  flip              true           default  mirror half of the images left to right
  shift             2              default  random shift of each image, at most this many pixels
                                            along each axis
  augment           []             default  augmentations of torchvision: `rotate` by up to 15°,
                                            `crop` to 60% or more, `jitter` of brightness and
                                            contrast, `trivial` (TrivialAugment), `erase` a
                                            rectangle in one image of four. Masks and points move
                                            with the picture; `trivial` is refused for them
  mixup             0.0            default  α of mixup (Zhang et al., 2018); 0.2 is usual, 0 is off
  balance           —              default  class balancing: class weights in the loss, or
                                            oversampling of rare classes; of masks, `weights` adds
                                            the Dice loss, in which every class counts the same
                                            (weights, sampling)
  ema               —              default  decay of an exponential moving average of the weights,
                                            which is kept, such as 0.999
  patience          —              default  early stopping: epochs without improvement on
                                            validation; the best epoch is kept
  model             timm/resnet18  recipe   network to train: `timm/NAME`, or a mapping with `arch`,
                                            `args`, `stride`
  start             —              default  name of an earlier result to train further, instead of
                                            `model`
  label_smoothing   0.0            default  label smoothing: share of the label's weight spread
                                            evenly over all classes
  bag               false          default  bagging (Breiman, 1996): learn from as many examples as
                                            there are, drawn with replacement by `seed`, so that
                                            members of an ensemble differ
  seed              —              default  random seed; by default the recipe's

stages.export.onnx  export.onnx
  input             base           default  name of the result to work on; by default the one above
  opset             18             default  version of the ONNX operator set; older runtimes load
                                            older versions
  embed             []             default  pre- and post-processing inside the graph: `normalize`
                                            raw inputs, `softmax` outputs
  dtype             float32        default  type of the input; `uint8` is for raw pixels, with
                                            `embed: [normalize]` (float32, uint8)
  simplify          true           default  simplify the graph; where that would change its outputs,
                                            less is simplified

stages.quantize.static  quantize.static
  input             export.onnx    default  name of the result to work on; by default the one above
  samples           64             recipe   validation examples to calibrate activation ranges on;
                                            three quarters of them where there are fewer
  ranges            auto           default  range estimator of activations. `minmax` covers every
                                            value; `percentile`, `entropy` (KL divergence) and `mse`
                                            clip outliers; `auto` takes the one of highest SQNR on
                                            held-out validation examples (auto, minmax, percentile,
                                            entropy, mse)
  per_channel       true           default  one scale per output channel of a weight, not per tensor
  improve           true           default  cross-layer equalization, GPTQ rounding and bias
                                            correction; each is kept only if it raises SQNR on held-
                                            out validation examples
  presets           []             default  integer formats to write besides those of the targets:
                                            x86, x86-avx2, arm, xnnpack, nnapi, tensorrt, integer-
                                            only
  keep              1 point        default  largest loss of the metric against the float model on
                                            held-out validation examples: in points; of an error
                                            metric, growth in percent; without labels, points of
                                            agreement with the float model, see quantization.md.
                                            Operators return to float by sensitivity, highest first,
                                            until it holds
  faster            true           default  mixed precision by latency: operators measured slower as
                                            int8 here stay float
  effort            full           default  `fast` leaves out what takes longest: equalization, the
                                            ranges `percentile` and `entropy`, and timing operators
                                            (`faster`) (full, fast)

budgets
  desk.yaml  size 5 MB, latency 1 s, memory 4 GB, accuracy 30%, accuracy_drop 60 points"""
    )


def test_of_a_recipe_what_it_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out(tmp_path, TEXT)
    monkeypatch.chdir(tmp_path)
    said = edgepress("show", "recipe.yaml", "--set", "stages.base.epochs=3")
    rows = [line.split()[0] for line in said.out.splitlines() if " recipe " in line or " --set " in line]
    assert rows == ["name", "task.data", "keep.accuracy_drop", "targets", "epochs", "lr", "model", "samples"]
    assert "  default  " not in said.out
    assert "\nstages.export.onnx  export.onnx\n" in said.out, "a stage that sets nothing is there"
    every = edgepress("show", "recipe.yaml", "--set", "stages.base.epochs=3", "--all")
    assert every.out == show.show("recipe.yaml", ["stages.base.epochs=3"]) + "\n"
    count = every.out.count("  default  ")
    last = f"{count} more options are at their defaults: `edgepress show recipe.yaml --all`"
    assert said.out.splitlines()[-1] == last


@pytest.mark.parametrize("name", catalog.files("recipes"))
def test_the_data_and_models_that_a_recipe_names_need_not_be_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert edgepress("show", name).code == 0
    text = "name: n\ntask: {data: {from: ./no.csv, label: kind}, metric: ./no.py:score}\n"
    text += "stages:\n  - {use: load, from: ./no.onnx}\ntargets: [host]\n"
    (tmp_path / "mine.yaml").write_text(text)
    said = edgepress("show", "mine")
    assert (said.code, said.err) == (0, "")
    assert "./no.onnx" in said.out
    assert edgepress("validate", "mine").code == 2, "to run they do"


def test_a_part_of_a_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word, help in {
        "kd": "did you mean `distill.kd`?",
        "quantise": "did you mean `quantize.static`? others: quantize.aware, ",
        "mobilenetx": "did you mean `mobilenet`?",
    }.items():
        assert f"= help: {help}" in edgepress("show", word).err


def test_a_stage() -> None:
    assert (
        show.show("prune.channels")
        == """\
prune.channels: Prune whole channels by DepGraph (Fang et al., 2023), then fine-tune. Channels are
ranked by the L2 magnitude of their group's weights; attentions lose whole heads. Channels whose
removal would change more than zeros in their place are left and named. Fine-tuning distils from
`teacher`.
It takes a torch model and gives a torch model.

option                 default    meaning
name                   —          name of the result, for later stages
input                  —          name of the result to work on; by default the one above
ratio                  30%        share of channels removed; the share of parameters removed is
                                  about twice as large
round_to               8          multiple that channel counts are rounded to; other counts run
                                  slower (1 or more)
everywhere             false      rank channels over the whole network instead of per layer
ignore                 []         patterns of layer names whose channels stay, such as `head` or
                                  `up.*`
finetune                          fine-tuning after pruning
finetune.epochs        3          passes over the training examples; 0 skips fine-tuning (0 or more)
finetune.batch         128        batch size, over all processes (2 or more)
finetune.accumulate    1          batches whose gradients are averaged for one optimizer step (1 or
                                  more)
finetune.lr            0.001      peak learning rate of the one-cycle schedule (AdamW) (more than 0)
finetune.schedule      one-cycle  shape of the learning rate: warm-up and decay, cosine decay, or
                                  constant (one-cycle, cosine, constant)
finetune.weight_decay  0.05       AdamW's decoupled weight decay (0 or more)
finetune.precision     fp32       precision of the forward and backward pass; `fp16` needs a GPU
                                  (fp32, bf16, fp16)
finetune.flip          true       mirror half of the images left to right
finetune.shift         2          random shift of each image, at most this many pixels along each
                                  axis (0 or more)
finetune.augment       []         augmentations of torchvision: `rotate` by up to 15°, `crop` to 60%
                                  or more, `jitter` of brightness and contrast, `trivial`
                                  (TrivialAugment), `erase` a rectangle in one image of four. Masks
                                  and points move with the picture; `trivial` is refused for them
finetune.mixup         0.0        α of mixup (Zhang et al., 2018); 0.2 is usual, 0 is off (0 or
                                  more)
finetune.balance       —          class balancing: class weights in the loss, or oversampling of
                                  rare classes; of masks, `weights` adds the Dice loss, in which
                                  every class counts the same (weights, sampling)
finetune.ema           —          decay of an exponential moving average of the weights, which is
                                  kept, such as 0.999 (more than 0, less than 1)
finetune.patience      —          early stopping: epochs without improvement on validation; the best
                                  epoch is kept (1 or more)
finetune.views         4          augmented views of each example with teacher outputs (1 or more)
finetune.temperature   2.0        softmax temperature T of student and teacher (more than 0)
finetune.kd_weight     0.9        weight of the KL divergence; cross-entropy weighs the rest (0 or
                                  more, 1 or less)
teacher                —          name of the model to distil from; by default the one before
                                  pruning"""
    )


def test_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """\
name: board
runtime: litert
budgets: {size: 2 MB, latency: {limit: 20 ms, percentile: 90}}
references:
  - {model: timm/resnet18@224, ms: 46, precision: fp32, threads: 4, runtime: ncnn,
     statistic: min, source: a b, commit: c1}
  - {model: timm/resnet34@224, ms: 7.5, precision: int8, threads: 1, runtime: tflite,
     statistic: p90, source: d, commit: e}
"""
    (tmp_path / "board.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    shown = show.show("board.yaml")
    assert (
        shown.partition("\nbudgets.size")[0]
        == """\
board  board.yaml

option                      value     from     meaning
name                        board     target   name of the target in reports
about                       —         default  description of the device and of how the model runs
                                               on it
runtime                     litert    target   runtime of the model on the device (onnxruntime,
                                               litert, tflite-runtime)
threads                     1         default  threads of the runtime
provider                    cpu       default  execution provider of onnxruntime; for an
                                               accelerator, cold start includes building its engine
                                               (cpu, cuda, tensorrt)
reach                       none      default  address of the device to measure on: `local`,
                                               `ssh://[USER@]HOST[:PORT]` or `adb://SERIAL`; with
                                               `none`, latency is estimated from this machine
python                      python3   default  Python with the runtime and numpy, on a device
                                               reached by ssh
binary                      —         default  benchmark program on a device reached by adb:
                                               TFLite's benchmark_model or onnxruntime_perf_test,
                                               such as /data/local/tmp/benchmark_model
architecture                —         default  processor architecture of the device, as `uname -m`
                                               prints it; any other is refused, such as aarch64
sustained                   —         default  time to run the model before measuring, for the
                                               sustained latency of a warm device, such as 10 min
preset                      —         default  integer format; by default it follows from the
                                               runtime and the processor (x86, x86-avx2, arm,
                                               xnnpack, nnapi, tensorrt, integer-only)
emulate                     —         default  processor to emulate: accuracy is evaluated on its
                                               instruction set once `edgepress doctor --install-
                                               emulator` was run (cortex-a53, cortex-a72,
                                               cortex-a76, haswell)
max_opset                   —         default  newest ONNX operator set that its onnxruntime loads,
                                               such as 16
max_ir                      —         default  newest ONNX IR version that its onnxruntime loads,
                                               such as 8
supports                    —         default  operators that its accelerator supports, by ONNX or
                                               TFLite name; reports list all others, such as
                                               ['CONV_2D']
extrapolate                 —         default  factor that widens latency estimates outside the
                                               range of the references, such as x2
calibrated                  —         default  date and versions of the measurement of the
                                               references on this device
regression                                     regressions that `--baseline` allows
regression.size             0.05      default  largest growth of the file
regression.latency          0.05      default  largest growth of latency
regression.accuracy_drop    1.0       default  largest drop of accuracy on the test split"""
    )
    assert "budgets.latency.limit       20 ms     target   limit, with its unit" in shown
    assert "budgets.accuracy_drop       —         default  largest drop of accuracy below the recipe's" in shown
    assert shown.endswith(
        """\
references: published latencies, which let another machine estimate this device's
network            precision  latency  threads  runtime  statistic  source
timm/resnet18@224  fp32       46 ms    4        ncnn     min        [1]
timm/resnet34@224  int8       7.5 ms   1        tflite   p90        [2]
[1] a b, commit c1
[2] d, commit e"""
    )
    (tmp_path / "board.yaml").write_text("name: b\nruntime: litert\nbudgets: {}\n")
    assert show.show("board.yaml").endswith("no latency of this device can be estimated from another machine")


@pytest.mark.parametrize("name", [*TABLE, *catalog.files("recipes"), *catalog.files("targets")])
def test_all_that_is_shipped_can_be_shown_and_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()  # what the recipes for photos name, and a user brings
    if name in catalog.files("recipes"):
        assert edgepress("cp", name, "mine.yaml").code == 0
        name = "mine.yaml"
    said = edgepress("show", name)
    assert (said.code, said.err) == (0, "")
    for line in said.out.splitlines():
        assert len(line) <= show.WIDTH or "commit" in line, line


@pytest.mark.parametrize("use", TABLE)
def test_every_option_of_a_stage_is_there_with_its_meaning(use: str) -> None:
    rows = {line.split()[0]: line.split() for line in show.show(use).splitlines() if line}
    for name in schema.schema(TABLE[use])["properties"]:
        if name != "use" and not (name == "input" and TABLE[use].takes is None):
            assert len(rows[name]) > 2, name


def test_every_option_of_a_recipe_is_there() -> None:
    shown = show.show("mobilenet")
    for name in set(schema.schema(Recipe)["properties"]) - {"stages"}:
        assert f"\n{name}" in shown
    for part, options in (("distill.kd", TABLE["distill.kd"]), ("prune.channels", TABLE["prune.channels"])):
        block = shown.partition(f"  {part}\n")[2].partition("\n\n")[0]
        for field in set(options.model_fields) - {"use", "name", "input"}:
            assert f"  {field} " in block, field


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    place = laid_out(tmp_path, TEXT.replace("samples", "smaples"))
    with pytest.raises(UserError, match="did you mean `samples`"):
        show.show(str(place.recipe))
    with pytest.raises(UserError, match="there is no recipe, target or stage `mobilnet`"):
        show.show("mobilnet")

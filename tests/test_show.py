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
name                n              recipe   what the run, its report and its lock file are called
task.data           digits         recipe   the name of a data set, or a folder of images, a .csv,
                                            an .npz or `./my_data.py:load` of your own (digits,
                                            fashion-mnist, fashion-mnist-10k, recommend, sensor,
                                            text)
task.metric         accuracy       default  what a model is scored by, or `./my_metric.py:f` of your
                                            own
task.seed           0              default  of every random choice
task.examples       —              default  learn from so many training examples only
task.labels         —              default  keep the labels of so many; `distill` learns from the
                                            others without them
task.unlabelled     —              default  more examples, without labels, for `distill` to learn
                                            from: as `data` of your own
task.label_noise    —              default  replace this share of the training labels by wrong ones,
                                            to see who copes, such as 30%
task.imbalance      —              default  thin the training classes out, from the first to the
                                            last, to see who copes, such as 50:1
reference           base           default  the result that accuracy drops count from; by default
                                            the first distillation's teacher, or else what the first
                                            stage that changes a model works on
keep.accuracy_drop  2 points       recipe   how far accuracy may fall below the reference
keep.metric_drop    —              default  how far the recipe's metric may fall below the
                                            reference; of an error, how much it may grow: `5%`, such
                                            as 1.5 points
targets             [desk.yaml]    recipe   names of target profiles, or paths that end in .yaml;
                                            `{use: NAME, budgets: {…}}` adds budgets; [] judges by
                                            `keep` alone

stages.base  train
  epochs            3              --set    passes over the training images
  batch             128            default  images a step, over all processes
  accumulate        1              default  batches whose gradients are averaged for one step
  lr                0.0001         recipe   highest learning rate of the schedule (AdamW)
  schedule          one-cycle      default  how the learning rate goes: up and down, down, or level
                                            (one-cycle, cosine, constant)
  weight_decay      0.05           default  AdamW's decoupled weight decay
  precision         fp32           default  of the forward and backward pass; `fp16` needs a GPU
                                            (fp32, bf16, fp16)
  flip              true           default  mirror half of the images left to right
  shift             2              default  move each image by up to this many pixels each way
  augment           []             default  torchvision's: `rotate` by up to 15°, `crop` to 60% or
                                            more, `jitter` of brightness and contrast, `trivial`
                                            (TrivialAugment), `erase` a rectangle in one image of
                                            four
  mixup             0.0            default  α of mixup (Zhang et al., 2018); 0.2 is usual, 0 is none
  balance           —              default  rare classes count more in the loss, or are drawn more
                                            often (weights, sampling)
  ema               —              default  keep a running mean of the weights with this decay, such
                                            as 0.999
  patience          —              default  stop after so many epochs without a better validation;
                                            the best one is kept
  model             timm/resnet18  recipe   the network to train: `timm/NAME`, or a mapping with
                                            `arch`, `args`, `stride`
  start             —              default  the name of an earlier result to train further, instead
                                            of `model`
  label_smoothing   0.0            default  share of the label spread over all classes
  seed              —              default  by default the recipe's seed

stages.export.onnx  export.onnx
  input             base           default  the result to work on; by default the one above
  opset             18             default  version of the ONNX operator set; old runtimes want old
                                            ones
  embed             []             default  what the file does itself: `normalize` the raw values,
                                            `softmax` the answers
  dtype             float32        default  what the file takes; `uint8` is raw pixels, with `embed:
                                            [normalize]` (float32, uint8)

stages.quantize.static  quantize.static
  input             export.onnx    default  the result to work on; by default the one above
  samples           64             recipe   validation images that the ranges are taken from; three
                                            quarters of them where there are fewer
  ranges            auto           default  how a range is taken from what was seen; `auto` tries
                                            them on held-out images (auto, minmax, percentile,
                                            entropy, mse)
  per_channel       true           default  a scale for each output channel of a weight
  improve           true           default  try equalisation, rounding by what the weights meet, and
                                            bias correction; keep what helps on held-out images
  presets           []             default  integers to make besides those that the targets need:
                                            x86, x86-avx2, arm, xnnpack, nnapi, tensorrt, integer-
                                            only
  keep              1.0            default  what int8 may lose of the float model's metric on held-
                                            out images: points; of an error the percent that it may
                                            grow by; without labels points of likeness to the float
                                            model. Operators go back to float, the worst first,
                                            until it holds
  faster            true           default  let operators stay float that are measured slower as
                                            int8 on this machine

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
prune.channels: Remove whole channels by DepGraph (Fang et al., 2023), then fine-tune by
distillation.
It takes a torch model and gives a torch model.

option                 default    meaning
name                   —          what later stages call the result
input                  —          the result to work on; by default the one above
ratio                  30%        share of the channels removed; parameters fall by about twice as
                                  much
round_to               8          channel counts stay multiples of this: others run slower (1 or
                                  more)
everywhere             false      rank channels over the whole network instead of in each layer
finetune                          training after pruning
finetune.epochs        3          passes over the training images; 0 leaves the model as pruned (0
                                  or more)
finetune.batch         128        images a step, over all processes (2 or more)
finetune.accumulate    1          batches whose gradients are averaged for one step (1 or more)
finetune.lr            0.001      highest learning rate of the one-cycle schedule (AdamW) (more than
                                  0)
finetune.schedule      one-cycle  how the learning rate goes: up and down, down, or level (one-
                                  cycle, cosine, constant)
finetune.weight_decay  0.05       AdamW's decoupled weight decay (0 or more)
finetune.precision     fp32       of the forward and backward pass; `fp16` needs a GPU (fp32, bf16,
                                  fp16)
finetune.flip          true       mirror half of the images left to right
finetune.shift         2          move each image by up to this many pixels each way (0 or more)
finetune.augment       []         torchvision's: `rotate` by up to 15°, `crop` to 60% or more,
                                  `jitter` of brightness and contrast, `trivial` (TrivialAugment),
                                  `erase` a rectangle in one image of four
finetune.mixup         0.0        α of mixup (Zhang et al., 2018); 0.2 is usual, 0 is none (0 or
                                  more)
finetune.balance       —          rare classes count more in the loss, or are drawn more often
                                  (weights, sampling)
finetune.ema           —          keep a running mean of the weights with this decay, such as 0.999
                                  (more than 0, less than 1)
finetune.patience      —          stop after so many epochs without a better validation; the best
                                  one is kept (1 or more)
finetune.views         4          augmented views of each image that the teacher is asked about (1
                                  or more)
finetune.temperature   2.0        softens both answers (more than 0)
finetune.kd_weight     0.9        weight of the divergence; labels get the rest (0 or more, 1 or
                                  less)
teacher                —          the name of the model to distil from; by default the one before
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
name                        board     target   what reports call it
about                       —         default  the device, and how the model runs on it
runtime                     litert    target   what runs the model there (onnxruntime, litert,
                                               tflite-runtime)
threads                     1         default  of the runtime
provider                    cpu       default  what onnxruntime computes on there; the time of
                                               loading then builds its engine (cpu, cuda, tensorrt)
reach                       none      default  where to measure: `local`,
                                               `ssh://[USER@]HOST[:PORT]`, `adb://SERIAL`; `none`
                                               means: estimated from this machine
python                      python3   default  on a device reached by ssh, the Python that has the
                                               runtime and numpy
binary                      —         default  on a device reached by adb, the benchmark program:
                                               TFLite's benchmark_model, or onnxruntime_perf_test,
                                               such as /data/local/tmp/benchmark_model
architecture                —         default  of the device, as `uname -m` says it; any other is
                                               refused, such as aarch64
sustained                   —         default  run the model for so long before measuring: the
                                               latency of a warm device, such as 10 min
preset                      —         default  by default what suits the processor (x86, x86-avx2,
                                               arm, xnnpack, nnapi, tensorrt, integer-only)
emulate                     —         default  its processor, on whose instruction set accuracy is
                                               counted where `edgepress doctor --install-emulator`
                                               was run (cortex-a53, cortex-a72, cortex-a76, haswell)
max_opset                   —         default  the newest operator set that its onnxruntime loads,
                                               such as 16
max_ir                      —         default  the newest version of the ONNX format that its
                                               onnxruntime loads, such as 8
supports                    —         default  the operators that its accelerator has, as ONNX or
                                               TFLite calls them: reports name the others, such as
                                               ['CONV_2D']
extrapolate                 —         default  widens estimates outside the references' span, such
                                               as x2
calibrated                  —         default  when and with what the references were measured on it
regression                                     what `--baseline` allows
regression.size             0.05      default  how much larger the file may be
regression.latency          0.05      default  how much slower it may run
regression.accuracy_drop    1.0       default  on the test split, at most"""
    )
    assert "budgets.latency.limit       20 ms     target   the number to keep to, with its unit" in shown
    assert "budgets.accuracy_drop       —         default  points below the recipe's reference, at most," in shown
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

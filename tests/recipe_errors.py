"""Pairs: what was written, and exactly what is printed about it."""

from __future__ import annotations

HEAD = """\
name: mine
task: {data: digits}
stages:
"""
TRAINED = "  - {use: train, name: a, model: timm/resnet18}\n"

GOLDEN = {
    "misspelt option": (
        HEAD
        + """\
  - use: train
    modle: timm/resnet18
    epochs: 3
""",
        """\
mine.yaml:5:5: unknown option `modle`
   5 |     modle: timm/resnet18
     |     ^^^^^
     = help: did you mean `model`?""",
    ),
    "misspelt nested option": (
        HEAD
        + TRAINED
        + """\
  - {use: prune.channels, finetune: {epoch: 3}}
""",
        """\
mine.yaml:5:38: unknown option `epoch`
   5 |   - {use: prune.channels, finetune: {epoch: 3}}
     |                                      ^^^^^
     = help: did you mean `epochs`?""",
    ),
    "missing option": (
        HEAD
        + """\
  - use: distill.kd
    student: timm/resnet18
""",
        """\
mine.yaml:4:10: missing option `teacher`
   4 |   - use: distill.kd
     |          ^^^^^^^^^^
     = help: name of the teacher, a torch or an ONNX model, or a list of several""",
    ),
    "wrong unit": (
        HEAD
        + TRAINED
        + """\
  - {use: prune.channels, ratio: 30 ms}
""",
        """\
mine.yaml:5:34: `ratio`: `ms` is not a unit that fits here, got `30 ms`
   5 |   - {use: prune.channels, ratio: 30 ms}
     |                                  ^^^^^
     = help: for example `30%`""",
    ),
    "unit in the wrong case": (
        HEAD
        + TRAINED
        + """\
keep: {accuracy_drop: 1.5 Points}
""",
        """\
mine.yaml:5:23: `accuracy_drop`: `Points` is not a unit that fits here, got `1.5 Points`
   5 | keep: {accuracy_drop: 1.5 Points}
     |                       ^^^^^^^^^^
     = help: did you mean `1.5 points`?""",
    ),
    "bare number": (
        HEAD
        + TRAINED
        + """\
keep: {accuracy_drop: 1.5}
""",
        """\
mine.yaml:5:23: `accuracy_drop`: a number needs a unit here, got `1.5`
   5 | keep: {accuracy_drop: 1.5}
     |                       ^^^
     = help: for example `1.5 points`""",
    ),
    "wrong type": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, epochs: ten}
""",
        """\
mine.yaml:4:48: `epochs`: write a whole number, got `ten`
   4 |   - {use: train, model: timm/resnet18, epochs: ten}
     |                                                ^^^""",
    ),
    "out of range": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, lr: -0.1}
""",
        """\
mine.yaml:4:44: `lr`: write more than 0, got `-0.1`
   4 |   - {use: train, model: timm/resnet18, lr: -0.1}
     |                                            ^^^^""",
    ),
    "wrong choice": (
        HEAD
        + TRAINED
        + """\
  - use: export.onnx
  - {use: quantize.static, ranges: minmaks}
""",
        """\
mine.yaml:6:36: `ranges`: write `auto`, `minmax`, `percentile`, `entropy` or `mse`, got `minmaks`
   6 |   - {use: quantize.static, ranges: minmaks}
     |                                    ^^^^^^^
     = help: did you mean `minmax`?""",
    ),
    "duplicate key": (
        HEAD
        + """\
  - use: train
    model: timm/resnet18
    epochs: 3
    model: timm/resnet34
""",
        """\
mine.yaml:7:5: `model` is given twice
   7 |     model: timm/resnet34
     |     ^^^^^
     = help: it is already on line 5""",
    ),
    "tab indentation": (
        HEAD
        + """\
  - use: train
\tmodel: timm/resnet18
""",
        """\
mine.yaml:5:1: a tab stands where YAML wants spaces
   5 | \tmodel: timm/resnet18
     | ^
     = help: indent with spaces""",
    ),
    "wrong kind": (
        HEAD
        + TRAINED
        + """\
  - {use: convert.tflite}
""",
        """\
mine.yaml:5:11: `convert.tflite` takes an ONNX model, but the stage above gives a torch model
   5 |   - {use: convert.tflite}
     |           ^^^^^^^^^^^^^^
     = help: put `- use: export.onnx` above it""",
    ),
    "wrong kind, earlier result": (
        HEAD
        + TRAINED
        + """\
  - use: export.onnx
  - use: convert.tflite
  - use: quantize.static
""",
        """\
mine.yaml:7:10: `quantize.static` takes an ONNX model, but the stage above gives a TFLite model
   7 |   - use: quantize.static
     |          ^^^^^^^^^^^^^^^
     = help: give the stage on line 5 a `name`, and write it as `input`""",
    ),
    "wrong kind by name": (
        HEAD
        + TRAINED
        + """\
  - {use: export.onnx, name: graph}
  - {use: prune.channels, input: graph}
""",
        """\
mine.yaml:6:34: `prune.channels` takes a torch model, but `graph` is an ONNX model
   6 |   - {use: prune.channels, input: graph}
     |                                  ^^^^^
     = help: say `input: a`""",
    ),
    "teacher of the wrong kind": (
        HEAD
        + TRAINED
        + """\
  - {use: export.onnx}
  - {use: convert.tflite, name: graph}
  - {use: distill.kd, student: timm/resnet18, teacher: graph}
""",
        """\
mine.yaml:7:56: `teacher` takes a torch model or an ONNX model, but `graph` is a TFLite model
   7 |   - {use: distill.kd, student: timm/resnet18, teacher: graph}
     |                                                        ^^^^^
     = help: name a result from before the export""",
    ),
    "nothing above": (
        HEAD
        + """\
  - use: export.onnx
""",
        """\
mine.yaml:4:10: `export.onnx` takes a torch model, but no stage stands above it
   4 |   - use: export.onnx
     |          ^^^^^^^^^^^
     = help: start with `- use: train` or `- use: load`""",
    ),
    "input of nothing": (
        HEAD
        + TRAINED
        + """\
  - {use: train, model: timm/resnet18, input: a}
""",
        """\
mine.yaml:5:40: `train` takes no `input`
   5 |   - {use: train, model: timm/resnet18, input: a}
     |                                        ^^^^^
     = help: name its models in `start`""",
    ),
    "unknown stage": (
        HEAD
        + TRAINED
        + """\
  - use: export.onyx
""",
        """\
mine.yaml:5:10: unknown stage `export.onyx`
   5 |   - use: export.onyx
     |          ^^^^^^^^^^^
     = help: did you mean `export.onnx`?""",
    ),
    "no use": (
        HEAD
        + TRAINED
        + """\
  - uses: export.onnx
""",
        """\
mine.yaml:5:5: missing option `use`
   5 |   - uses: export.onnx
     |     ^^^^^^^^^^^^^^^^^
     = help: did you mean `use` for `uses`?""",
    ),
    "a stage as text": (
        HEAD
        + TRAINED
        + """\
  - export.onnx
""",
        """\
mine.yaml:5:5: write a stage, got `export.onnx`
   5 |   - export.onnx
     |     ^^^^^^^^^^^
     = help: did you mean `use: export.onnx`?""",
    ),
    "a stage as key": (
        HEAD
        + TRAINED
        + """\
  - export.onnx:
      opset: 18
""",
        """\
mine.yaml:5:5: missing option `use`
   5 |   - export.onnx:
     |     ^^^^^^^^^^^^
     = help: write `use: export.onnx`, with its options beside it""",
    ),
    "missing file": (
        HEAD
        + """\
  - use: load
    from: models/teacher.safetensors
""",
        """\
mine.yaml:5:11: there is no file `models/teacher.safetensors`
   5 |     from: models/teacher.safetensors
     |           ^^^^^^^^^^^^^^^^^^^^^^^^^^
     = help: looked in . and among the shipped files""",
    ),
    "missing name": (
        HEAD
        + TRAINED
        + """\
  - use: distill.kd
    student: timm/resnet18
    teacher: b
""",
        """\
mine.yaml:7:14: no result above is called `b`
   7 |     teacher: b
     |              ^
     = help: one of: a""",
    ),
    "misspelt name in a list": (
        HEAD
        + TRAINED
        + """\
  - {use: fuse.ensemble, models: [a, aa]}
""",
        """\
mine.yaml:5:38: no result above is called `aa`
   5 |   - {use: fuse.ensemble, models: [a, aa]}
     |                                      ^^
     = help: did you mean `a`?""",
    ),
    "name made later": (
        HEAD
        + """\
  - {use: distill.kd, student: timm/resnet18, teacher: a}
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:4:56: `a` is made later, on line 5
   4 |   - {use: distill.kd, student: timm/resnet18, teacher: a}
     |                                                        ^
     = help: move it up""",
    ),
    "a cycle": (
        HEAD
        + TRAINED
        + """\
  - {use: fuse.ensemble, name: b, models: [a, b]}
""",
        """\
mine.yaml:5:47: `b` is this very stage
   5 |   - {use: fuse.ensemble, name: b, models: [a, b]}
     |                                               ^
     = help: name a result that is made above it""",
    ),
    "a stage named by its use": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18}
  - {use: distill.kd, student: timm/resnet18, teacher: train}
""",
        """\
mine.yaml:5:56: no result above is called `train`
   5 |   - {use: distill.kd, student: timm/resnet18, teacher: train}
     |                                                        ^^^^^
     = help: give the stage on line 4 a `name`""",
    ),
    "duplicate name": (
        HEAD
        + TRAINED
        + """\
  - {use: train, name: a, model: timm/resnet34}
""",
        """\
mine.yaml:5:24: `a` is already the name of the stage on line 4
   5 |   - {use: train, name: a, model: timm/resnet34}
     |                        ^
     = help: choose another""",
    ),
    "name of another's file": (
        HEAD
        + TRAINED
        + """\
  - {use: export.onnx, name: small}
  - {use: export.onnx, name: small.x86, input: a}
""",
        """\
mine.yaml:6:30: a file of `small` for x86 is called as the one of `small.x86`
   6 |   - {use: export.onnx, name: small.x86, input: a}
     |                              ^^^^^^^^^
     = help: choose another""",
    ),
    "reserved name": (
        HEAD
        + """\
  - {use: train, name: input, model: timm/resnet18}
""",
        """\
mine.yaml:4:24: `input` cannot be a name: stages call the model that they work on so
   4 |   - {use: train, name: input, model: timm/resnet18}
     |                        ^^^^^
     = help: choose another""",
    ),
    "unsafe name": (
        """\
name: ../mine
task: {data: digits}
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:1:7: `name`: this cannot be a name, got `../mine`
   1 | name: ../mine
     |       ^^^^^^^
     = help: up to 64 letters, digits, `-`, `_` and `.`; a letter or digit first""",
    ),
    "unknown reference": (
        HEAD
        + TRAINED
        + """\
reference: b
""",
        """\
mine.yaml:5:12: no result above is called `b`
   5 | reference: b
     |            ^
     = help: one of: a""",
    ),
    "unknown target": (
        HEAD
        + TRAINED
        + """\
targets: [hosts]
""",
        """\
mine.yaml:5:11: `targets`: there is no such target, got `hosts`
   5 | targets: [hosts]
     |           ^^^^^
     = help: did you mean `host`?""",
    ),
    "missing target file": (
        HEAD
        + TRAINED
        + """\
targets: [./board.yaml]
""",
        """\
mine.yaml:5:11: `targets`: there is no file `board.yaml`, got `./board.yaml`
   5 | targets: [./board.yaml]
     |           ^^^^^^^^^^^^
     = help: a path counts from the recipe's folder""",
    ),
    "target twice": (
        HEAD
        + TRAINED
        + """\
targets: [host, host]
""",
        """\
mine.yaml:5:10: `targets`: `host` is listed twice
   5 | targets: [host, host]
     |          ^^^^^^^^^^^^
     = help: take one out""",
    ),
    "unknown student": (
        HEAD
        + TRAINED
        + """\
  - use: distill.kd
    student: timm/mobilenetv2_05
    teacher: a
""",
        """\
mine.yaml:6:14: timm has no network `mobilenetv2_05`
   6 |     student: timm/mobilenetv2_05
     |              ^^^^^^^^^^^^^^^^^^^
     = help: did you mean `timm/mobilenetv2_050`?""",
    ),
    "student without its zoo": (
        HEAD
        + """\
  - {use: train, model: resnet18}
""",
        """\
mine.yaml:4:25: `model`: this text is not allowed here, got `resnet18`
   4 |   - {use: train, model: resnet18}
     |                         ^^^^^^^^
     = help: `timm/NAME`, `torchvision/NAME`, `torchvision/segmentation/NAME`, \
`torchvision/detection/NAME`, `edgepress/NAME`, or your own function that returns an nn.Module: \
`./my_model.py:build`, relative to the recipe's folder""",
    ),
    "unknown network in a mapping": (
        HEAD
        + """\
  - {use: train, model: {arch: timm/resnet81}}
""",
        """\
mine.yaml:4:32: timm has no network `resnet81`
   4 |   - {use: train, model: {arch: timm/resnet81}}
     |                                ^^^^^^^^^^^^^
     = help: did you mean `timm/resnet18`?""",
    ),
    "unknown data": (
        """\
name: mine
task: {data: fashion-mnist-10}
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:2:14: `data`: there is no such data set, got `fashion-mnist-10`
   2 | task: {data: fashion-mnist-10}
     |              ^^^^^^^^^^^^^^^^
     = help: did you mean `fashion-mnist-10k`?""",
    ),
    "options of one's own data": (
        """\
name: mine
task: {data: {from: ., normalise: none, normalize: {mean: [.nan], std: [1]}}}
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:2:24: unknown option `normalise`
   2 | task: {data: {from: ., normalise: none, normalize: {mean: [.nan], std: [1]}}}
     |                        ^^^^^^^^^
     = help: did you mean `normalize`?

mine.yaml:2:60: `mean`: write a finite number, got `.nan`
   2 | task: {data: {from: ., normalise: none, normalize: {mean: [.nan], std: [1]}}}
     |                                                            ^^^^""",
    ),
    "unknown metric": (
        """\
name: mine
task: {data: digits, metric: acuracy}
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:2:30: `metric`: there is no such metric, got `acuracy`
   2 | task: {data: digits, metric: acuracy}
     |                              ^^^^^^^
     = help: did you mean `accuracy`?""",
    ),
    "YAML 1.1 no": (
        HEAD
        + TRAINED
        + """\
  - use: export.onnx
  - {use: quantize.static, per_channel: no}
""",
        """\
mine.yaml:6:41: `per_channel`: write `true` or `false`, got `no`
   6 |   - {use: quantize.static, per_channel: no}
     |                                         ^^
     = help: write `false`""",
    ),
    "YAML 1.1 octal": (
        HEAD
        + """\
  - {use: train, name: 010, model: timm/resnet18}
""",
        """\
mine.yaml:4:24: `name`: write text, got `010`
   4 |   - {use: train, name: 010, model: timm/resnet18}
     |                        ^^^
     = help: put it in quotes: `'010'`""",
    ),
    "YAML 1.1 base 60": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, epochs: 1:30}
""",
        """\
mine.yaml:4:48: `epochs`: write a whole number, got `1:30`
   4 |   - {use: train, model: timm/resnet18, epochs: 1:30}
     |                                                ^^^^""",
    ),
    "quoted number": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, epochs: '10'}
""",
        """\
mine.yaml:4:48: `epochs`: write a whole number, got `'10'`
   4 |   - {use: train, model: timm/resnet18, epochs: '10'}
     |                                                ^^^^
     = help: take the quotes away""",
    ),
    "float for int": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, epochs: 1e1}
""",
        """\
mine.yaml:4:48: `epochs`: write a whole number, got `1e1`
   4 |   - {use: train, model: timm/resnet18, epochs: 1e1}
     |                                                ^^^
     = help: write `10`""",
    ),
    "true for a number": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, epochs: true}
""",
        """\
mine.yaml:4:48: `epochs`: write a whole number, got `true`
   4 |   - {use: train, model: timm/resnet18, epochs: true}
     |                                                ^^^^""",
    ),
    "not a number": (
        HEAD
        + """\
  - {use: train, model: timm/resnet18, lr: .nan}
""",
        """\
mine.yaml:4:44: `lr`: write a number, got `.nan`
   4 |   - {use: train, model: timm/resnet18, lr: .nan}
     |                                            ^^^^""",
    ),
    "text for a list": (
        HEAD
        + TRAINED
        + """\
  - {use: fuse.ensemble, models: a}
""",
        """\
mine.yaml:5:34: `models`: write a list, got `a`
   5 |   - {use: fuse.ensemble, models: a}
     |                                  ^
     = help: did you mean `[a]`?""",
    ),
    "nothing for a list": (
        HEAD,
        """\
mine.yaml:3:8: `stages`: write a list, got nothing
   3 | stages:
     |        ^""",
    ),
    "no stages": (
        """\
name: mine
task: {data: digits}
stages: []
""",
        """\
mine.yaml:3:9: `stages`: write 1 or more, got 0
   3 | stages: []
     |         ^^
     = help: stages in order; each takes the result above it, or the one named by `input:`""",
    ),
    "an empty file": (
        "",
        """\
mine.yaml:1:1: the file is empty
   1 |
     | ^
     = help: it needs `name:`, `task:`, `stages:`""",
    ),
    "only comments": (
        """\
# name: mine
""",
        """\
mine.yaml:1:1: the file is empty
   1 | # name: mine
     | ^
     = help: it needs `name:`, `task:`, `stages:`""",
    ),
    "a list at the top": (
        """\
- use: train
""",
        """\
mine.yaml:1:1: the file must be a mapping of options, got a list
   1 | - use: train
     | ^^^^^^^^^^^^
     = help: it needs `name:`, `task:`, `stages:`""",
    ),
    "text at the top": (
        """\
mine
""",
        """\
mine.yaml:1:1: the file must be a mapping of options, got `mine`
   1 | mine
     | ^^^^
     = help: it needs `name:`, `task:`, `stages:`""",
    ),
    "three at once": (
        """\
name: mine
task: {data: digits, sede: 1}
stages:
  - {use: train, name: a, model: timm/resnet18}
  - {use: prune.channels, ratio: 0.3}
  - use: convert.tflite
""",
        """\
mine.yaml:2:22: unknown option `sede`
   2 | task: {data: digits, sede: 1}
     |                      ^^^^
     = help: did you mean `seed`?

mine.yaml:5:34: `ratio`: a number needs a unit here, got `0.3`
   5 |   - {use: prune.channels, ratio: 0.3}
     |                                  ^^^
     = help: for example `30%`

mine.yaml:6:10: `convert.tflite` takes an ONNX model, but the stage above gives a torch model
   6 |   - use: convert.tflite
     |          ^^^^^^^^^^^^^^
     = help: put `- use: export.onnx` above it""",
    ),
    "an alias": (
        HEAD
        + """\
  - &a {use: train, model: timm/resnet18}
  - *a
""",
        """\
mine.yaml:5:5: the alias `*a` is not allowed
   5 |   - *a
     |     ^
     = help: write the value out""",
    ),
    "a tag": (
        HEAD
        + """\
  - !!python/object/apply:os.system [id]
""",
        """\
mine.yaml:4:5: the tag `!!python/object/apply:os.system` is not allowed
   4 |   - !!python/object/apply:os.system [id]
     |     ^
     = help: write plain data""",
    ),
    "an open bracket": (
        """\
name: mine
task: {data: digits
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:3:7: a `,` or a closing bracket is missing
   3 | stages:
     |       ^
     = help: close every `[` and `{`""",
    ),
    "a colon in a value": (
        """\
name: mine: yours
""",
        """\
mine.yaml:1:11: this `:` comes too early
   1 | name: mine: yours
     |           ^
     = help: look at the indentation, and put quotes around a text that has `: ` in it""",
    ),
    "quantized twice, and weights that are none": (
        HEAD
        + TRAINED
        + """\
  - {use: export.onnx, name: float}
  - {use: quantize.static, name: ints}
  - {use: quantize.float16}
  - {use: convert.tflite, input: ints, dynamic: true}
  - {use: quantize.float16, input: float, compute: float16}
  - use: convert.tflite
""",
        """\
mine.yaml:7:11: what `quantize.static` makes is quantized already
   7 |   - {use: quantize.float16}
     |           ^^^^^^^^^^^^^^^^
     = help: name the float model: `input: NAME OF ITS STAGE`

mine.yaml:8:34: `dynamic` needs int8 weights to work with
   8 |   - {use: convert.tflite, input: ints, dynamic: true}
     |                                  ^^^^
     = help: let it work on the result of `quantize.weights`

mine.yaml:10:10: TFLite's kernels for processors do not compute in float16
  10 |   - use: convert.tflite
     |          ^^^^^^^^^^^^^^
     = help: let `quantize.float16` have float32""",
    ),
    "two documents": (
        HEAD
        + TRAINED
        + """\
---
name: mine
task: {data: digits}
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:5:1: a second document starts here
   5 | ---
     | ^
     = help: one file holds one recipe or target""",
    ),
    "wide characters": (
        """\
name: mine
task: {data: 数字, seed: x}
stages:
  - {use: train, name: a, model: timm/resnet18}
""",
        """\
mine.yaml:2:14: `data`: there is no such data set, got `数字`
   2 | task: {data: 数字, seed: x}
     |              ^^^^
     = help: one of: clutter, digits, fashion-mnist, fashion-mnist-10k, recommend, scenes, sensor, text

mine.yaml:2:24: `seed`: write a whole number, got `x`
   2 | task: {data: 数字, seed: x}
     |                          ^""",
    ),
}

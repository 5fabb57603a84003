"""Train with `accelerate`: the one loop.

Each stage that trains brings its loss; every random choice follows from the seed.

A checkpoint each minute and after every epoch lets a killed run go on to the same weights: the order of an epoch and
its augmentation depend on the seed and the epoch alone. A damaged checkpoint is not used, with a note.
Under `accelerate launch` each process takes its share of every batch, and the first one writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import distributed, printable
from ..core.errors import UserError
from . import curve
from .checkpoint import Run, averaged
from .curve import Follower
from .examples import Examples, Rows, generator, prefetch
from .inference import score_points
from .malloc import keep
from .memory_format import channels_last, contiguous
from .schedule import SWA_FROM, Schedule, paced

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor, nn

    from ..core.metric import Metric
    from ..data.dataset import Dataset

    Loss = Callable[[Tensor, Tensor, Rows], Tensor]
    """(outputs (b, …), targets as `Examples.labels` has them, which rows these are) → a scalar."""
else:
    Loss = Any

EVERY = 60.0
"""Seconds after which a checkpoint is written within an epoch."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw weights inside the block by `seed` alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def fit(
    module: nn.Module,
    data: Dataset,
    loss: Loss,
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path,
    say: Callable[[int, int, str], None],
    views: int | None = None,
    metric: Metric | None = None,
    unlabelled: bool = False,
    swa: bool = False,
    bag: bool = False,
    after_step: Callable[[nn.Module], None] | None = None,
) -> nn.Module:
    """Train `module` in place and return it in eval mode, with its running mean as weights if there is one.

    With `views`, epoch e sees view e mod views of every image; otherwise each epoch sees a new one. `metric` decides
    what `patience` waits for, `unlabelled` adds the examples without labels, and `swa` averages the weights of the
    last quarter's epochs, which leaves batch norm to `reestimate`. With `bag`, every epoch has the same examples, as
    many as there are, drawn with replacement by `seed`. `after_step` is called with `module` after every
    step of the optimizer, without gradients, and may change weights in place, also through views such as
    `weight.flatten()`: a mask of pruned ones is laid on again.
    Raises UserError when the loss or a weight stops being a number, and for a single image.
    """
    if schedule.epochs == 0:
        return module.eval()
    keep()
    examples = Examples.to_learn(data.to_learn_from(), schedule, seed, unlabelled=unlabelled)
    if len(examples) < 2:  # batch norm has no variance of one value
        raise UserError("1 training example is not enough to train on")
    with channels_last(module):
        loop = _Loop(module, data, examples, loss, schedule, seed, checkpoint, say, views, swa, bag, after_step)
        follow = Follower(data, metric)
        while loop.run.epoch < schedule.epochs and loop.run.stale < (schedule.patience or schedule.epochs):
            loop.epoch()
            loop.follow(follow)
            if schedule.patience:
                assert metric is not None, "patience waits for a metric"
                loop.validate(metric)
            loop.save()
        if loop.accelerator.is_main_process:
            curve.write(checkpoint, loop.run.losses, loop.run.scores, follow.examples)
        return loop.finish()


class _Loop:
    """A running training."""

    def __init__(
        self,
        module: nn.Module,
        data: Dataset,
        examples: Examples,
        loss: Loss,
        schedule: Schedule,
        seed: int,
        checkpoint: Path,
        say: Callable[[int, int, str], None],
        views: int | None,
        swa: bool,
        bag: bool,
        after_step: Callable[[nn.Module], None] | None,
    ) -> None:
        import torch

        self.module, self.data, self.examples, self.loss = module, data, examples, loss
        self.schedule, self.seed, self.checkpoint, self.say, self.views, self.swa = (
            schedule, seed, checkpoint, say, views, swa,
        )  # fmt: skip
        self.after_step = after_step
        count = len(examples)
        self.bag = torch.randint(count, (count,), generator=generator(seed, 6)) if bag else None
        self.accelerator = accelerator = _accelerator(schedule)
        self.batch = min(schedule.batch, len(examples))
        self.steps = len(examples) // self.batch
        if self.batch < 2 * accelerator.num_processes:
            raise UserError(
                f"a batch of {self.batch} leaves less than two examples to each of {accelerator.num_processes} "
                "processes",
                "raise `batch`",
            )
        optimizer = torch.optim.AdamW(_groups(module, schedule.weight_decay), lr=schedule.lr, fused=True)
        updates = schedule.epochs * -(-self.steps // schedule.accumulate)
        self.scheduler = paced(optimizer, schedule, updates, swa=swa)
        self.mean = averaged(module, schedule, swa=swa)
        parts = {"module": module, "optimizer": optimizer, "scheduler": self.scheduler}
        self.run = Run(parts if self.mean is None else {**parts, "mean": self.mean})
        problem = self.run.read(checkpoint)
        if problem and distributed.first():
            printable.say(
                f"note: the checkpoint {printable.word(checkpoint)} {problem}; training starts over", error=True
            )
        self.model, self.optimizer = accelerator.prepare(module, optimizer)
        self.written = time.monotonic()

    def epoch(self) -> None:
        """Run one epoch, or the rest of one."""
        import torch

        from . import balance

        run, schedule = self.run, self.schedule
        if run.step and run.chance is not None:
            torch.set_rng_state(run.chance)
        else:
            torch.manual_seed(int(generator(self.seed, run.epoch, 2, self.accelerator.process_index).initial_seed()))
            run.total = 0.0
        order = balance.order(self.examples, self.data, schedule, generator(self.seed, run.epoch, 3), self.bag)
        batches = [self._share(order[step * self.batch : (step + 1) * self.batch]) for step in range(self.steps)]
        self.model.train()
        for rows, inputs, y in prefetch(self.examples, batches[run.step :]):
            self._step(rows, inputs, y)
            words = f"epoch {run.epoch + 1}/{schedule.epochs}, loss {run.total / run.step:.3f}"
            self.say(run.epoch * self.steps + run.step, schedule.epochs * self.steps, words)
        weights = self.module.state_dict().values()
        if not all(torch.isfinite(value).all() for value in (torch.tensor(run.total), *weights)):
            raise UserError(
                f"the loss or a weight is not a number in epoch {run.epoch + 1}", f"lower `lr: {schedule.lr:g}`"
            )
        run.losses.append(run.total / max(self.steps, 1))
        run.epoch, run.step = run.epoch + 1, 0
        if self.swa and run.epoch > SWA_FROM * schedule.epochs:
            self.mean.update_parameters(self.module)

    def _step(self, rows: Rows, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        """Run one batch; the last one of those whose gradients are averaged updates the weights."""
        from torch import no_grad

        run, accumulate, device = self.run, self.schedule.accumulate, self.accelerator.device
        group = min(accumulate, self.steps - run.step // accumulate * accumulate)
        run.step += 1
        is_update = run.step % accumulate == 0 or run.step == self.steps
        with nullcontext() if is_update else self.accelerator.no_sync(self.model):
            value = self.loss(self.model(*(tensor.to(device) for tensor in inputs)), y.to(device), rows)
            self.accelerator.backward(value / group)
        run.total += float(value.detach())
        if not is_update:
            return
        self.optimizer.step()
        if self.after_step is not None:
            with contiguous(self.module), no_grad():
                self.after_step(self.module)
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.mean is not None and not self.swa:
            self.mean.update_parameters(self.module)
        if time.monotonic() - self.written > EVERY:
            self.save()

    def _share(self, rows: Tensor) -> Rows:
        """Return this process's share of a batch; where neighbours belong together, a block of it."""
        epoch, process, count = self.run.epoch, self.accelerator.process_index, self.accelerator.num_processes
        view = epoch if self.views is None else epoch % self.views
        share = rows.tensor_split(count)[process] if self.data.targets.together > 1 else rows[process::count]
        return Rows(share, view, epoch)

    def follow(self, follower: Follower) -> None:
        """Add a point to the curve. Only the first process does: it decides nothing."""
        if self.accelerator.is_main_process:
            average = self.mean is not None and not self.swa  # the mean of SWA waits for its batch norm
            self.run.scores.append(follower(self.mean.module if average else self.module))

    def validate(self, metric: Metric) -> None:
        """Score on validation and store the best weights. The first process decides: batch norm differs among them."""
        from accelerate.utils import broadcast_object_list

        module = self.module if self.mean is None else self.mean.module
        (points,) = broadcast_object_list([score_points(module, self.data, "validation", metric)])
        if points > self.run.best:
            self.run.best, self.run.stale = points, 0
            self.run.kept = {name: value.clone() for name, value in module.state_dict().items()}
        else:
            self.run.stale += 1

    def save(self) -> None:
        if self.accelerator.is_main_process:
            self.run.write(self.checkpoint)
        self.written = time.monotonic()

    def finish(self) -> nn.Module:
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False).to("cpu")
        if self.mean is not None:
            self.module.load_state_dict(self.mean.module.state_dict())
        if self.run.kept:
            self.module.load_state_dict(self.run.kept)
        return self.module.eval()


def require_gpu(schedule: Schedule) -> None:
    """Raise UserError where the precision needs a GPU, and there is none."""
    import torch

    if schedule.precision == "fp16" and not torch.cuda.is_available():
        raise UserError("`precision: fp16` needs a GPU", "`bf16` runs on any processor, `fp32` is the most exact")


def _accelerator(schedule: Schedule) -> Accelerator:
    """Return a fresh accelerator: each stage may have a precision of its own, and accelerate keeps the first one's."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    require_gpu(schedule)
    AcceleratorState._reset_state()
    return Accelerator(mixed_precision="no" if schedule.precision == "fp32" else schedule.precision)


def _groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: weight decay for matrices and kernels, none for biases and normalisation."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    rest = [p for p in module.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]

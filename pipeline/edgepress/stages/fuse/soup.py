"""Fuse the weights of models with one architecture: `fuse.soup.*` ….

The result is as fast as one member.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ...core.errors import Rejection
from ...models.checkpoint import load, save
from ...stage import Artifact, Context, Made, Setting
from .ensemble import Fuse, Shares

NO_WEIGHTS = ", and an ensemble has no weights to average"
NO_MEAN = ", so their weights have no mean"
ANY_ARCHITECTURE = "use `fuse.ensemble`, which takes any architectures"

if TYPE_CHECKING:
    from .mixing import State
    from .trials import Trial, Trials


class Soup(Fuse):
    """Mix the weights of the members, after a check of the midpoints of the first with each other."""

    version: ClassVar = 2
    libraries: ClassVar = ("torch", "timm", "numpy", "scipy", "torch-pruning")

    align: Literal["rebasin"] | None = Field(
        default=None,
        description="match every model's channels with the first model's before averaging (Git Re-Basin), for models "
        "from independent starts",
    )
    bn: Literal["best", "reestimate", "mean"] = Field(
        default="best",
        description="batch-norm statistics: `reestimate` on training data, `mean` of the members, or the `best` of the "
        "two on validation",
    )

    def same_network_as(self) -> str:
        return self.models[0]

    def reject(self, setting: Setting) -> Iterator[Rejection]:
        yield from super().reject(setting)
        alike: dict[str, tuple[str, Any]] = {}
        for option, name in self.named():
            source = setting.sources.get(name)
            if source is None:
                continue
            if source.origin.stage.joins_networks:
                yield Rejection(f"`{name}` is an ensemble{NO_WEIGHTS}", "name its members instead", option)
                continue
            networks = source.origin.stage.networks()
            forms = {
                "the architecture of `{}`": networks[0] if networks else None,
                "pruned as `{}` is": source.pruned,
            }
            for words, form in forms.items():
                first, expected = alike.setdefault(words, (name, form)) if form is not None else (name, None)
                if form != expected:
                    yield Rejection(f"`{name}` is not {words.format(first)}{NO_MEAN}", ANY_ARCHITECTURE, option)

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .trials import Trials

        # The others are aligned to the first, and so is a base, which `named` has behind the models.
        loaded = {name: load(inputs[name].path, context.code) for _, name in self.named()}
        trials = Trials(loaded, context, align=self.align is not None, bn=self.bn)
        alone = {name: trials.alone(name).points for name in self.models}
        barriers = trials.barriers(self.models)
        members = self.choose(trials)
        trial = self.trial(trials, members)
        trials.module.load_state_dict(trial.state)
        save(trials.module.eval(), trials.description, context.folder / "model.safetensors")
        notes = {"members": members, "alone": alone, "barriers": barriers, "validation": trial.points, "bn": trial.bn}
        return Made("torch", notes=notes)

    def choose(self, trials: Trials) -> list[str]:
        """Return the members to mix."""
        return self.models

    def trial(self, trials: Trials, members: list[str]) -> Trial:
        """Score the mixture of some members; a single one is unchanged."""
        if len(members) == 1:
            return trials.alone(members[0])
        base = trials.states[getattr(self, "base", members[0])]
        return trials.mixed(self.mix([trials.states[name] for name in members], base, trials.context.seed))

    def mix(self, states: list[State], base: State, seed: int) -> State:
        """Return one state from the members', by default their mean; deltas count from `base`."""
        from .mixing import mean

        return mean(states)


class FuseSoupUniform(Soup):
    """Average all weights equally: uniform soup (Wortsman et al., 2022)."""

    use: Literal["fuse.soup.uniform"]


class FuseSoupWeighted(Soup):
    """Average the models' weights by given shares: weighted soup."""

    use: Literal["fuse.soup.weighted"]
    weights: Shares = Field(description="one weight per model, summing to 1")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import weighted

        return weighted(states, self.weights)


class FuseSoupGreedy(Soup):
    """Average the weights that help: greedy soup (Wortsman et al., 2022).

    Models are tried best first; each is added only if accuracy on validation does not fall.
    """

    use: Literal["fuse.soup.greedy"]

    def choose(self, trials: Trials) -> list[str]:
        first, *rest = sorted(self.models, key=lambda name: -trials.alone(name).points)
        soup, best = [first], trials.alone(first).points
        for name in rest:
            points = self.trial(trials, [*soup, name]).points
            if points >= best:
                soup, best = [*soup, name], points
        return soup


class FuseSlerp(Soup):
    """Interpolate two models spherically: SLERP (Shoemake, 1985).

    Each tensor is interpolated by itself.
    """

    use: Literal["fuse.slerp"]
    models: list[str] = Field(min_length=2, max_length=2, description="names of the two models to fuse")
    t: float = Field(default=0.5, ge=0, le=1, description="interpolation factor: 0 is the first model, 1 the second")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import slerp

        first, second = states
        return slerp(first, second, self.t)


class Deltas(Soup):
    """Mix what fine-tuning added to a base."""

    names: ClassVar = ("models", "base")

    base: str = Field(description="name of the model that the others were fine-tuned from")


class FuseTaskArithmetic(Deltas):
    """Add task vectors to a base: task arithmetic (Ilharco et al., 2023).

    Result: base + scale · Σ (θₖ − base).
    """

    use: Literal["fuse.task_arithmetic"]
    scale: float = Field(default=0.3, gt=0, description="factor of the summed deltas")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import task_arithmetic

        return task_arithmetic(base, states, self.scale)


class FuseTies(Deltas):
    """Merge deltas by trim, elect sign and mean: TIES (Yadav et al., 2023).

    Each delta from the base is trimmed to its largest values. A sign is elected for every parameter, and the values
    with that sign are averaged.
    """

    use: Literal["fuse.ties"]
    keep: float = Field(default=0.2, gt=0, le=1, description="share of each tensor's largest values that is kept")
    scale: float = Field(default=1.0, gt=0, description="factor of the merged delta")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import ties

        return ties(base, states, self.keep, self.scale)


class FuseDare(Deltas):
    """Drop and rescale deltas at random, then average: DARE (Yu et al., 2024).

    Each value of a delta from the base is dropped with probability `drop`; the others are scaled by 1 / (1 − drop).
    """

    use: Literal["fuse.dare"]
    drop: float = Field(default=0.5, ge=0, lt=1, description="probability that a value of a delta is dropped")
    scale: float = Field(default=1.0, gt=0, description="factor of the mean delta")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import dare

        return dare(base, states, self.drop, self.scale, seed)


class FuseModelStock(Deltas):
    """Interpolate between base and mean: Model Stock (Jang et al., 2024).

    The better the deltas from the base agree (by cosine), the nearer the result is to their mean.
    """

    use: Literal["fuse.model_stock"]

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import model_stock

        return model_stock(base, states)

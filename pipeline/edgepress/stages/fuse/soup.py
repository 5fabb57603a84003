"""`fuse.*` of weights: models that share an architecture as one of them, and as fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ...models.zoo import load, save
from ...stage import Artifact, Context, Made
from .ensemble import Fuse, Shares

if TYPE_CHECKING:
    from .mixing import State
    from .trials import Trial, Trials


class Soup(Fuse):
    """Mix the weights of the members, when the midpoints of the first with each other tell that they may be mixed."""

    version: ClassVar = 2
    libraries: ClassVar = ("torch", "timm", "numpy", "scipy", "torch-pruning")

    align: Literal["rebasin"] | None = Field(
        default=None,
        description="order every model's channels as the first's before mixing (git re-basin), for independent starts",
    )
    bn: Literal["best", "reestimate", "mean"] = Field(
        default="best",
        description="batch-norm statistics: estimated anew on training data, mixed, or the better on validation",
    )

    def run(self, inputs: dict[str, Artifact], context: Context) -> Made:
        from .trials import Trials

        # The others are aligned to the first, and so is a base, which `named` has behind the models.
        loaded = {name: load(inputs[name].path, context.code) for _, name in self.named()}
        trials = Trials(loaded, context, align=self.align is not None, bn=self.bn)
        alone = {name: trials.alone(name).goodness for name in self.models}
        barriers = trials.barriers(self.models)
        chosen = self.choose(trials)
        found = self.trial(trials, chosen)
        trials.module.load_state_dict(found.state)
        save(trials.module.eval(), trials.description, context.folder / "model.safetensors")
        notes = {"members": chosen, "alone": alone, "barriers": barriers, "validation": found.goodness, "bn": found.bn}
        return Made("torch", notes=notes)

    def choose(self, trials: Trials) -> list[str]:
        """The members to mix."""
        return self.models

    def trial(self, trials: Trials, chosen: list[str]) -> Trial:
        """The mixture of some members; one stays as it is."""
        if len(chosen) == 1:
            return trials.alone(chosen[0])
        base = trials.states[getattr(self, "base", chosen[0])]
        return trials.mixed(self.mix([trials.states[name] for name in chosen], base, trials.context.seed))

    def mix(self, states: list[State], base: State, seed: int) -> State:
        """One state of the members', by default their mean; `base` is what deltas count from, if there are any."""
        from .mixing import mean

        return mean(states)


class FuseSoupUniform(Soup):
    """Uniform soup (Wortsman et al., 2022): the mean of all members' weights."""

    use: Literal["fuse.soup.uniform"]


class FuseSoupWeighted(Soup):
    """The weighted mean of the members' weights."""

    use: Literal["fuse.soup.weighted"]
    weights: Shares = Field(description="one a model, 1 in sum")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import weighted

        return weighted(states, self.weights)


class FuseSoupGreedy(Soup):
    """Greedy soup (Wortsman et al., 2022): add a member, best first, only when validation accuracy does not fall."""

    use: Literal["fuse.soup.greedy"]

    def choose(self, trials: Trials) -> list[str]:
        first, *others = sorted(self.models, key=lambda name: -trials.alone(name).goodness)
        soup, best = [first], trials.alone(first).goodness
        for name in others:
            found = self.trial(trials, [*soup, name]).goodness
            if found >= best:
                soup, best = [*soup, name], found
        return soup


class FuseSlerp(Soup):
    """Spherical interpolation of two models (Shoemake, 1985), each tensor by itself."""

    use: Literal["fuse.slerp"]
    models: list[str] = Field(min_length=2, max_length=2, description="the names of the two models to fuse")
    t: float = Field(default=0.5, ge=0, le=1, description="0 is the first model, 1 the second")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import slerp

        one, other = states
        return slerp(one, other, self.t)


class Deltas(Soup):
    """Mix what fine-tuning added to a base."""

    names: ClassVar = ("models", "base")

    base: str = Field(description="the name of the model that the others were fine-tuned from")


class FuseTaskArithmetic(Deltas):
    """Task arithmetic (Ilharco et al., 2023): the base and `scale` times the sum of what each model has beyond it."""

    use: Literal["fuse.task_arithmetic"]
    scale: float = Field(default=0.3, gt=0, description="of the sum of the deltas")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import task_arithmetic

        return task_arithmetic(base, states, self.scale)


class FuseTies(Deltas):
    """TIES (Yadav et al., 2023): trim each delta to its largest values, elect their signs, average what agrees."""

    use: Literal["fuse.ties"]
    keep: float = Field(default=0.2, gt=0, le=1, description="share of each tensor's values that stays")
    scale: float = Field(default=1.0, gt=0, description="of the merged delta")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import ties

        return ties(base, states, self.keep, self.scale)


class FuseDare(Deltas):
    """DARE (Yu et al., 2024): drop values of each delta by chance, scale the rest up, and average."""

    use: Literal["fuse.dare"]
    drop: float = Field(default=0.5, ge=0, lt=1, description="chance of a value to be dropped")
    scale: float = Field(default=1.0, gt=0, description="of the mean delta")

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import dare

        return dare(base, states, self.drop, self.scale, seed)


class FuseModelStock(Deltas):
    """Model stock (Jang et al., 2024): between base and mean, as near to the mean as the deltas agree."""

    use: Literal["fuse.model_stock"]

    def mix(self, states: list[State], base: State, seed: int) -> State:
        from .mixing import model_stock

        return model_stock(base, states)

"""Build the routes of a comparison from the stages of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

from ...config.chain import Step
from ...config.recipe import Recipe
from ...config.rejections import lineages
from ...core.errors import Problem, UserError
from ...training import Schedule
from .results import HALF

ROUTES = {
    "plain": "the student on labels alone",
    HALF: "the student on half of the labels alone, for as many steps, to estimate what more labels would bring; never "
    "picked",
    "longer": "the student on labels alone, for as much compute as teachers and student take together",
    "soup": "the mean of fine-tunes of the student on labels alone",
    "distill": "the student, distilled from the best single teacher",
    "both": "the student, distilled from the fused teachers",
    "teacher": "the best single teacher",
    "fuse": "the fused teachers",
}
"""Name → what it is, from the cheapest to train to the dearest to run."""
OTHERS = (
    "the student, distilled from all of its teachers",
    "the student, distilled from what is made of the fused teachers",
)
"""What `both` is where the recipe lists several teachers, and where it trains or prunes a fusion before it teaches."""
USUAL = ("plain", "distill", "both", "teacher", "fuse")
SCARCE = (HALF, "longer")
"""Routes that are usual too where examples lack labels: a distilled student learns from more of them, for longer."""
TFLITE = "-tflite"
"""How the names end of what is converted."""
FINE_TUNES = 3
"""Members of a soup."""


@dataclass(frozen=True)
class Parts:
    """What a recipe has to compare: stages up to its first distillation, that one, and how its results are made."""

    upstream: list[dict[str, Any]]
    reference: str
    """Name of what the recipe counts drops from; no route has it if it comes after the distillation."""
    members: list[str]
    """Names of the single teachers."""
    fused: str | None
    """Name of what fuses them."""
    together: str | list[str] | None
    """What `both` learns from, as the recipe writes it: what fuses teachers or is made from that, or several."""
    unsuited: tuple[str, ...]
    """Routes whose teacher may lack the layers that the recipe names."""
    distill: dict[str, Any]
    export: dict[str, Any]
    quantize: dict[str, Any]
    convert: dict[str, Any]
    files: set[str]
    """Names of those teachers that are ONNX files already."""
    left_out: tuple[str, ...]
    """Names of what changes the student after its distillation, which no route does."""
    unlabelled: bool
    """Whether the task has examples without labels."""


def parts(recipe: Recipe) -> Parts:
    """Return the parts to compare. Raises: UserError for a recipe without a distillation: it names no student."""
    steps, written = recipe.steps(), recipe.document.data["stages"]
    first = next((i for i, step in enumerate(steps) if step.stage.family == "distill"), None)
    if first is None:
        message = f"`{recipe.name}` has no `distill.*` stage, and so no student to compare by routes"
        help = "add one, or compare several recipes as they are: `edgepress compare ONE TWO`"
        raise UserError([Problem(message, help, recipe.document.place(("stages",)))])
    names = {step.label: step.stage.name or step.label.replace(".", "-") for step in steps}
    by_label = {step.label: step for step in steps}
    fusions = [step for step in steps[:first] if step.stage.family == "fuse" and "models" in step.stage.names]
    teachers = list(steps[first].named)
    fused = {label: fusion for label in teachers if (fusion := _fusion(label, by_label, fusions)) is not None}
    if len(teachers) > 1:  # each as the recipe lists it: what is made from a fusion is a single one
        fused = {label: fusion for label, fusion in fused.items() if fusion.label == label}
    fusion = next(iter(fused.values()), None)
    members = list(dict.fromkeys(name for label in teachers for name in _models(fused.get(label)) or [label]))
    wanted = _needed([*members, *teachers, *([fusion.label] if fusion else [])], by_label)
    upstream = [
        {**written[i], "name": names[step.label], **({"input": names[step.input]} if step.input else {})}
        for i, step in enumerate(steps)
        if step.label in wanted
    ]
    listed = [names[label] for label in teachers]
    together = listed if len(listed) > 1 else listed[0] if fusion else None
    quantize = _options(written, steps, first, "quantize.") or {"use": "quantize.static"}
    files = {names[step.label] for step in steps[:first] if step.kind == "onnx"}
    reference = recipe.reference_label()
    return Parts(
        upstream,
        names.get(reference, reference),
        [names[member] for member in members],
        names[fusion.label] if fusion else None,
        together,
        _unsuited(recipe, steps, first),
        dict(written[first]),
        _options(written, steps, first, "export.onnx") or {"use": "export.onnx"},
        quantize,
        _options(written, steps, first, "convert.tflite") or {"use": "convert.tflite"},
        files,
        _after(steps, first),
        bool(recipe.task.facts().unlabelled),
    )


def _fusion(label: str, by_label: dict[str, Step], fusions: list[Step]) -> Step | None:
    """Return the fusion that a result is, or has its network from."""
    step: Step | None = by_label[label]
    while step is not None and step not in fusions:
        source = step.stage.same_network_as()
        step = by_label.get((step.input if source == "input" else source) or "")
    return step


def _models(fusion: Step | None) -> list[str]:
    return [name for option, name in fusion.stage.named() if "models" in option] if fusion else []


def _unsuited(recipe: Recipe, steps: list[Step], first: int) -> tuple[str, ...]:
    distil = steps[first]
    if getattr(distil.stage, "in_every_network", True):
        return ()
    place = next(index for index, step in enumerate(steps) if step.label == distil.named[0])
    teacher = lineages(recipe.document).get(place)
    several = len(distil.named) > 1 or (teacher is not None and teacher.origin.stage.joins_networks)
    return ("distill",) if several else ()


def _after(steps: list[Step], first: int) -> tuple[str, ...]:
    """Return the labels of the models that are made from the distilled student."""
    made = {steps[first].label}
    for step in steps[first + 1 :]:
        if made & {step.input, *step.named}:
            made.add(step.label)
    return tuple(step.label for step in steps[first + 1 :] if step.kind == "torch" and step.label in made)


def _options(written: list[dict[str, Any]], steps: list[Step], first: int, use: str) -> dict[str, Any]:
    """Return the first such stage behind the distillation, or else of the recipe: what is written but its place."""
    order = [*range(first, len(steps)), *range(first)]
    found = (written[i] for i in order if steps[i].stage.use.startswith(use))
    return {name: value for each in islice(found, 1) for name, value in each.items() if name not in ("name", "input")}


def _needed(labels: list[str], steps: dict[str, Step]) -> set[str]:
    """Return the steps of `labels`, and all that they are made from."""
    needed: set[str] = set()
    while labels:
        label = labels.pop()
        if label not in needed:
            needed.add(label)
            step = steps[label]
            labels += [*step.named, *([step.input] if step.input else [])]
    return needed


def wanted(names: str | None, parts: Parts) -> list[str]:
    """Return the chosen routes, or those that the recipe has. Raises: UserError for an unknown one."""
    missing = {} if parts.fused else {"fuse": "a teacher that a `fuse.*` stage makes of several `models`"}
    missing |= {} if parts.together else {"both": "several teachers: a list, or what a `fuse.*` stage makes of them"}
    possible = [name for name in ROUTES if name not in missing and name not in parts.unsuited]
    if names is None:
        usual = (*USUAL, *(SCARCE if parts.unlabelled else ()))
        return [name for name in possible if name in usual]
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in ROUTES:
            raise UserError(f"there is no route `{name}`", f"one of: {', '.join(ROUTES)}")
        if name in missing:
            raise UserError(f"`{name}` needs {missing[name]}", f"one of: {', '.join(possible)}")
        if name in parts.unsuited:
            message = f"`{name}` has another teacher than the recipe, which may lack the `layers` that it names"
            raise UserError(message, f"one of: {', '.join(possible)}")
    if not {*chosen} - {HALF}:
        raise UserError("`--routes` has no route that can be picked", f"one of: {', '.join(possible)}")
    return [name for name in ROUTES if name in chosen]


def about(route: str, parts: Parts) -> str:
    """Describe a route."""
    if route != "both" or parts.together == parts.fused:
        return ROUTES[route]
    return OTHERS[0] if isinstance(parts.together, list) else OTHERS[1]


def stages(parts: Parts, routes: list[str], best: str, effort: float, *, tflite: bool = False) -> list[dict[str, Any]]:
    """Return all stages of `routes`, to ONNX files or on to TFLite.

    `best` is the best single teacher, and `effort` the multiple of the student's epochs for `longer`.
    """
    chain = list(parts.upstream)
    student = {"model": parts.distill["student"]} | {
        name: value for name, value in parts.distill.items() if name in Schedule.model_fields or name == "seed"
    }
    epochs = int(student.get("epochs", Schedule().epochs))
    plain = {"use": "train", "name": called("plain"), **student}
    if {"plain", "soup"} & set(routes):
        chain.append(plain)
    if HALF in routes:
        chain.append({**plain, "name": called(HALF), "epochs": 2 * epochs})  # as many steps as `plain`
    if "longer" in routes:
        chain.append({**plain, "name": called("longer"), "epochs": max(1, round(epochs * effort))})
    if "soup" in routes:
        rest = {name: value for name, value in student.items() if name not in ("model", "seed")}
        lr = float(student.get("lr", Schedule().lr)) / 5
        tunes = [
            {**rest, "use": "train", "name": f"tune-{i}", "start": called("plain"), "lr": lr, "seed": i + 1,
             "epochs": max(1, epochs // 2)} for i in range(FINE_TUNES)
        ]  # fmt: skip
        soup = {"use": "fuse.soup.uniform", "name": called("soup"), "models": [tune["name"] for tune in tunes]}
        chain += [*tunes, soup]
    of_one = {name: value for name, value in parts.distill.items() if name not in ("weigh", "weights")}
    if "distill" in routes:
        chain.append({**of_one, "name": called("distill"), "teacher": best})
    if "both" in routes:
        of_all = parts.distill if isinstance(parts.together, list) else of_one
        chain.append({**of_all, "name": called("both"), "teacher": parts.together})
    for route in routes:
        source, file = source_of(parts, route, best), float_of(parts, route, best)
        if file != source:
            chain.append({**parts.export, "name": file, "input": source})
        chain.append({**parts.quantize, "name": f"{route}-int8", "input": file})
        if tflite:
            chain += [
                {**parts.convert, "name": name, "input": name.removesuffix(TFLITE)}
                for name in files_of(parts, route, best, tflite=True)
            ]
    return chain


def source_of(parts: Parts, route: str, best: str) -> str:
    """Return the name of a route's model."""
    return {"teacher": best, "fuse": parts.fused or ""}.get(route, called(route))


def float_of(parts: Parts, route: str, best: str) -> str:
    """Return the name of its float ONNX file, which may be the model itself."""
    source = source_of(parts, route, best)
    return source if source in parts.files else f"{route}-float"


def files_of(parts: Parts, route: str, best: str, *, tflite: bool = False) -> tuple[str, str]:
    """Return the names of its last float and int8 file."""
    onnx = float_of(parts, route, best), f"{route}-int8"
    return (onnx[0] + TFLITE, onnx[1] + TFLITE) if tflite else onnx


def called(route: str) -> str:
    """Return the name of a route's model among the stages."""
    return f"route-{route}"

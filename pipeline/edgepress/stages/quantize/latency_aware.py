"""Choose the fastest mixed precision of int8 and float by measurement.

An operator as int8 may be slower than in float (HardSwish, and whatever has no integer kernel), and between the two
kinds a tensor has to be converted. With each operator's time in both kinds, from onnxruntime's profiler, and the time
of each conversion, the fastest mixture is a minimum cut of the graph. Layouts and fusions make such sums rough, so the
mixture is profiled anew and cut again, and in the end whole files are timed side by side.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from ...benchmark import paired, statistics
from ...core.paths import scratch
from ...core.presets import Preset
from ...core.results import Samples
from .profile import Profile, profiled, renamed
from .qdq import Plan, written

Say = Callable[[int, int, str], None]

_CUTS = 4
_PROCESSES, _ROUNDS, _WARM = (1, 2, 4), 12, 0.05
"""Processes after which timing may end, rounds in each process, and seconds of warm-up for each file."""
_CLOSE = 1.02
"""A mixture must beat the plan as it is by this: what is alike in both runtimes is worth more than 2%."""
_INTERVAL = 3
"""Processes from which an interval is given: that of two is as wide as nothing known."""
_PLAIN, _CLEAR = 1.25, 1.03
"""Slower by this in one process, or in each of two, is slower: they differ by some 2%."""
_FAR = 1.5
"""Slower by this is slower, by sums of operators' times too, which are rough."""
_NEVER = 1e12


def faster(
    plan: Plan, preset: Preset, say: Say, integers: onnx.ModelProto | None = None
) -> tuple[Plan, dict[str, Any]]:
    """Return operators to float that are slower as int8 on this machine, on one thread of onnxruntime.

    `integers` is the plan as it is, where it has been written.

    The second value: `tried` maps each candidate to its time as a multiple of the float graph's with its interval,
    which is the value alone where two processes or one decided; `chosen` is one of them, `operators` how many compute
    in int8 and in float, `slower` how many of each type were returned to float for it. Candidates are the plan as it
    is, mixtures, and weights alone, as far as they may win.
    """
    plans = _candidates(plan, preset, say)
    every = frozenset(node.name for node in plan.graph.graph.node)
    with scratch() as work:
        models = [paired.Model("float", _saved(plan.graph, Path(work, "float.onnx")))]
        for index, (name, candidate) in enumerate(plans.items()):
            model = integers if candidate is plan and integers else written(candidate, preset)
            models.append(paired.Model(name, _saved(model, Path(work, f"{index}.onnx"))))
        say(_CUTS, _CUTS + 1, f"timing {len(models)} files side by side")
        reference, *samples = paired.measure(models, looks=_PROCESSES, rounds=_ROUNDS, enough=_decided, warm=_WARM)
    ratios = {candidate.path: statistics.spread(statistics.log_ratios(candidate, reference)) for candidate in samples}
    if len(reference.cpu) < _INTERVAL:
        ratios = {name: (ratio, None) for name, (ratio, _) in ratios.items()}
    best = min(ratios, key=lambda name: ratios[name][0] * (1 if name == "int8" else _CLOSE))
    slower = plans[best].floats - plan.floats
    integer_count = sum(node.name not in plans[best].floats for node in plan.graph.graph.node)
    return plans[best], {
        "chosen": best,
        "tried": {name: _rounded(*ratio) for name, ratio in ratios.items()},
        "operators": {"int8": integer_count, "float": len(every) - integer_count},
        "slower": dict(Counter(sorted(node.op_type for node in plan.graph.graph.node if node.name in slower))),
    }


def _decided(samples: list[Samples]) -> bool:
    """Whether each candidate is clearly slower than the fastest in each process, or as fast in each of several.

    `samples` begin with the float graph. Which of two that are alike is taken does not matter.
    """
    _, *candidates = samples
    best = min(candidates, key=lambda each: statistics.spread(statistics.log_percentiles(each, 50))[0])
    several = len(best.cpu) > 1

    def clear(candidate: Samples) -> bool:
        behind = statistics.log_ratios(candidate, best)
        alike = several and max(map(abs, behind)) < math.log(_CLOSE)
        return alike or min(behind) > math.log(_CLEAR if several else _PLAIN)

    return all(clear(each) for each in candidates if each is not best)


def _candidates(plan: Plan, preset: Preset, say: Say) -> dict[str, Plan]:
    """Return name → plan: the plan as it is, the cuts that differ, and weights alone.

    What cannot win, by the times of the operators, is left out.
    """
    known, back = renamed(plan)
    every = frozenset(node.name for node in known.graph.graph.node)
    profile = Profile(known)
    profile.learn(profiled(known.graph), every)
    profile.learn(profiled(written(known, preset)), known.floats)
    cuts: list[frozenset[str]] = []
    for index in range(_CUTS):
        say(index, _CUTS + 1, "which operators are slower as int8")
        floats = cut(profile)
        gains = _CLOSE * profile.cost(floats) < profile.cost(known.floats)
        if floats in cuts or floats in (known.floats, every) or not gains:
            break
        cuts.append(floats)
        profile.learn(profiled(written(replace(known, floats=floats), preset)), floats)
    best = min(profile.cost(floats) for floats in (known.floats, *cuts))
    far = profile.cost(every) > _FAR * best
    return {
        "int8": plan,
        **{f"mixed {index + 1}": _in_float(plan, floats, back) for index, floats in enumerate(cuts)},
        **({} if far else {"weights alone": _in_float(plan, every, back)}),
    }


def _in_float(plan: Plan, floats: frozenset[str], back: dict[str, str]) -> Plan:
    return replace(plan, floats=frozenset(back[name] for name in floats))


def cut(profile: Profile) -> frozenset[str]:
    """Return the names of the nodes that are float in the fastest mixture by the profile.

    Nodes on the source's side are int8. A tensor is converted once, however many read it in the other kind: its two
    extra nodes say so.
    """
    import networkx

    graph = networkx.DiGraph()

    def edge(source: Any, sink: Any, microseconds: float) -> None:
        # Whole numbers: networkx finds the cut by flow == capacity, which sums of floats miss.
        before = graph.get_edge_data(source, sink, {"capacity": 0})["capacity"]
        graph.add_edge(source, sink, capacity=before + round(1e6 * microseconds))

    for name in profile.nodes:
        edge("int8", name, profile.float_time(name))
        edge(name, "float", profile.integer_time(name) if profile.may_be_integer(name) else _NEVER)
    for tensor, (maker, readers) in profile.tensors.items():
        price = profile.conversion(tensor)
        for reader in readers:
            edge(reader, ("quantized", tensor), _NEVER)
            edge(("dequantized", tensor), reader, _NEVER)
        edge(("quantized", tensor), maker or "float", price)
        if maker:
            edge(maker, ("dequantized", tensor) if readers else "float", price)
    _, (integer, _) = networkx.minimum_cut(graph, "int8", "float")
    return frozenset(name for name in profile.nodes if name not in integer)


def _saved(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def _rounded(value: float, interval: tuple[float, float] | None) -> list[float]:
    return [round(number, 3) for number in (value, *(interval or (value, value)))]

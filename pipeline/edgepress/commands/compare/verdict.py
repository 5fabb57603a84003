"""Recommend a route under the target's budgets, and state its cost.

For every other route the text names the condition under which it would win.
"""

from __future__ import annotations

import math
from statistics import fmean

from . import advice
from .results import Comparison, Fits
from .routes import OTHERS
from .statistics import Estimate

_LESS = 0.9
"""Times or bytes of another route, of those of the pick, from which they count as less."""
KEEP = "recipe"
"""The target that the recipe's own `keep` counts as."""


def words(comparison: Comparison) -> list[str]:
    """Return the verdict. Routes, or recipes, count by their int8 files, which a device runs."""
    from .wording import sentences

    return sentences(unwrapped(comparison))


def unwrapped(comparison: Comparison) -> list[str]:
    """Return the sentences of `words`, each in one line."""
    lines = [*_fitting(comparison), *_pick(comparison), *_survival(comparison), *_quantized(comparison)]
    lines += advice.next_step(comparison)
    return [line for line in lines if line]


def _fits(comparison: Comparison, route: str, which: str, target: str | None = None) -> list[Fits]:
    """Return the verdicts of each target, or of one, on a route's file."""
    named = [
        (fits, fits.target or comparison.target)
        for fits in comparison.fits
        if (fits.route, fits.which) == (route, which)
    ]
    return [fits for fits, name in named if target in (None, name)]


def within(comparison: Comparison, route: str, which: str = "int8") -> bool:
    """Whether the target that judges is shown to be met, and the recipe's `keep`: a missing or open budget is not.

    Of the other targets, which are judged without measurements on attached devices, none is exceeded.
    """
    needed = (comparison.target, KEEP)
    return all(
        _met(fits) if (fits.target or comparison.target) in needed else not _fails(fits)
        for fits in _fits(comparison, route, which)
    )


def _met(fits: Fits) -> bool:
    return all(status == "ok" for status in fits.checks.values())


def _fails(fits: Fits) -> bool:
    return "FAIL" in fits.checks.values()


def _fitting(comparison: Comparison) -> list[str]:
    lines = []
    if comparison.target is None:
        lines = ["Budgets: no target is named that is measured here or estimated; `--target NAME` judges."]
    names = dict.fromkeys(fits.target or comparison.target or "" for fits in comparison.fits)
    for name in dict.fromkeys([*([comparison.target] if comparison.target else []), *names]):
        lines += _of_target(comparison, name)
    return lines


def _of_target(comparison: Comparison, name: str) -> list[str]:
    """Return the routes that meet a target or `keep`, then the exceeded budgets of the others."""
    fits = {route: _fits(comparison, route, "int8", name) for route in comparison.candidates}
    fitting = [route for route, target_fits in fits.items() if all(map(_met, target_fits))]
    budgets = "the recipe's keep" if name == KEEP else name
    lines = [f"{'Meets' if name == KEEP else 'Fits'} {budgets} as int8: {', '.join(fitting) or 'none of them'}."]
    for route, target_fits in fits.items():
        for fits_ in target_fits:
            if not _met(fits_):
                how = "does not" if _fails(fits_) else "is not shown to"
                verb = "meet" if name == KEEP else "fit"
                exceeded = [words_ for words_ in fits_.said if not words_.endswith(": ok")]
                lines.append(f"{route} {how} {verb} {budgets}: {'; '.join(exceeded)}")
    return lines


def _pick(comparison: Comparison) -> list[str]:
    from .text import against, rank, seconds
    from .wording import change

    fitting = [route for route in comparison.candidates if within(comparison, route)]
    if not fitting:
        fits = {route: _fits(comparison, route, "int8") for route in comparison.candidates}
        open_ = [route for route, target_fits in fits.items() if not any(map(_fails, target_fits))]
        missing = [
            route for route in open_ if any("no number" in target_fit.checks.values() for target_fit in fits[route])
        ]
        help = f"decide on {', '.join(open_)} on an idle machine" if open_ else "a smaller student, or another budget"
        if missing == open_ != []:
            help = "a missing number never passes"
        exceeded = dict.fromkeys(fits_.target for every in fits.values() for fits_ in every if _fails(fits_))
        named = dict.fromkeys(filter(None, [comparison.target, *exceeded]))
        needed = [*(name for name in named if name != KEEP), *(["the recipe's keep"] if _has_keep(comparison) else [])]
        return [f"Verdict: none of them is shown to meet {_and(needed) or 'the other targets'}: {help}."]
    fitting, without = [route for route in fitting if _is_scored(comparison, route)], fitting
    if not fitting:
        return [f"Verdict: none of them: the {comparison.metric} of {_and(without)} is no finite number."]
    best = max(fitting, key=lambda route: rank(comparison, route, "int8"))
    alike = [route for route in fitting if route == best or not against(comparison, best, route, "int8").shown]

    fastest = min(seconds(comparison, route, "int8") or 0.0 for route in alike) or 1.0

    def cost(route: str) -> tuple[int, int, float]:
        # Times and bytes of one architecture differ by chance alone, and a tenth is no reason. What decides between
        # those of equal time and size is the compute of their training.
        time, size = (seconds(comparison, route, "int8") or 0.0) / fastest, comparison.of(route)[0].files["int8"].bytes
        return (
            round(time),
            round(10 * math.log2(size)),
            round(fmean(result.effort for result in comparison.of(route)), 1),
        )

    pick = min(alike, key=cost)
    lines = [f"Verdict: {pick}, {comparison.routes[pick]}."]
    if pick != best:
        gap = change(against(comparison, best, pick, "int8"), comparison.error)
        unit = comparison.drop_unit
        lines.append(f"  no difference shown between {best} and {pick} ({gap}{unit}): the cheaper one is picked")
    for route in comparison.candidates:
        if route != pick:
            lines.append(f"  {_beside(comparison, pick, route)}")
    return lines


def _is_scored(comparison: Comparison, route: str) -> bool:
    """Whether the metric of a route is a finite number: from any other no difference is shown, so it is no pick."""
    from .text import rank

    return math.isfinite(rank(comparison, route, "int8"))


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _has_keep(comparison: Comparison) -> bool:
    return any(fits.target == KEEP for fits in comparison.fits)


def _beside(comparison: Comparison, pick: str, route: str) -> str:
    """Compare the pick with another route: its gain, its cost, and the condition under which the other would win."""
    from .text import against, seconds
    from .wording import change

    if not _is_scored(comparison, route):
        return f"against {route}: its {comparison.metric} is no finite number, so it is not picked"
    gain = against(comparison, pick, route, "int8")
    better = gain.mean < 0 if comparison.error else gain.mean > 0
    unit = comparison.drop_unit
    mine, theirs = (seconds(comparison, name, "int8") for name in (pick, route))
    sizes = [comparison.of(name)[0].files["int8"].bytes for name in (pick, route)]
    time = f"{theirs / mine:.1f}x the time and " if mine and theirs else ""
    cost = f"{time}{sizes[1] / sizes[0]:.1f}x the bytes"
    effort = comparison.of(route)[0].effort / max(comparison.of(pick)[0].effort, 1e-9)
    shown = (
        f"{change(gain, comparison.error)}{unit}"
        if gain.shown
        else f"no difference shown, {change(gain, comparison.error)}{unit}"
    )
    if not gain.shown:
        when = f"{route} would win if more seeds or test examples showed it ahead"
        if not within(comparison, route):
            when += ", and the budget allowed it"
    elif better and (sizes[1] < _LESS * sizes[0] or (mine and theirs and theirs < _LESS * mine)):
        when = f"{route} would win where its {'time' if theirs and mine and theirs < mine else 'size'} counts more"
    elif better:
        when = f"{route} would win only by its training, {effort:.1g}x the compute" if 0 < effort < 1 else ""
    elif not within(comparison, route):
        when = f"{route} would win where the budget allowed it"
    else:
        when = f"{route} would win where its cost does not count"
    return f"against {route} ({cost}): {shown}{f'; {when}' if when else ''}"


def _survival(comparison: Comparison) -> list[str]:
    """Return the gain of fusing the teachers, and the share of it that reaches the student."""
    from .text import against

    if len(comparison.source) > 1 or not {"teacher", "fuse", "distill", "both"} <= set(comparison.routes):
        return []
    if comparison.routes["both"] in OTHERS:
        return []  # it learns from others than those that are fused
    gain, passed_on = against(comparison, "fuse", "teacher", "float"), against(comparison, "both", "distill", "float")
    carried = gain.shown and passed_on.shown and (gain.mean < 0) == comparison.error
    survives = f": {passed_on.mean / gain.mean:.0%} of the gain survives." if carried else "."
    lines = [
        f"Fusing the teachers: {_difference_text(gain, comparison)} over the best single one. A student of the fused "
        f"teachers: {_difference_text(passed_on, comparison)} over a student of the best single one{survives}"
    ]
    if "plain" in comparison.routes:
        room, won = against(comparison, "fuse", "plain", "float"), against(comparison, "both", "plain", "float")
        better = (room.mean < 0) == comparison.error
        share = f", {won.mean / room.mean:.0%} of the way" if room.shown and won.shown and better else ""
        lines.append(
            f"The fused teachers are {_difference_text(room, comparison)} from the student alone; distilling them "
            f"brings the student {_difference_text(won, comparison)}{share}."
        )
    return lines


def _difference_text(value: Estimate, comparison: Comparison) -> str:
    from .wording import change

    text = change(value, comparison.error) + comparison.drop_unit
    return text if value.shown else f"{text} (no difference shown)"


def _quantized(comparison: Comparison) -> list[str]:
    """Return the routes that lose more to int8 than chance explains."""
    from .statistics import difference
    from .wording import change

    lines = []
    for route in comparison.routes:
        int8, float_ = ([result.files[which] for result in comparison.of(route)] for which in ("int8", "float"))
        lost = difference(int8, float_, comparison.metric, error=comparison.error, groups=comparison.groups)
        if lost.shown:
            lines.append(f"{route} {change(lost, comparison.error)}")
    return [f"int8 against float: {', '.join(lines)}."] if lines else ["int8 against float: no difference shown."]

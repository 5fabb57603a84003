"""Recommend a route under the target's budgets, and state its cost.

For every other route the text names the condition under which it would win.
"""

from __future__ import annotations

import math
from statistics import fmean

from .results import Comparison, Fits
from .statistics import Estimate

KEEP = "recipe"
"""The target that the recipe's own `keep` counts as."""


def words(found: Comparison) -> list[str]:
    """The verdict. Routes, or recipes, count as what a device runs: their int8 files."""
    from .wording import sentences

    lines = [*_fitting(found), *_pick(found), *_survival(found), *_quantized(found)]
    return sentences([line for line in lines if line])


def _fits(found: Comparison, route: str, which: str, target: str | None = None) -> list[Fits]:
    """What each target, or one of them, says of a route's file."""
    named = [(each, each.target or found.target) for each in found.fits if (each.route, each.which) == (route, which)]
    return [each for each, name in named if target in (None, name)]


def within(found: Comparison, route: str, which: str = "int8") -> bool:
    """Whether the target that judges is shown to be met, and the recipe's `keep`: a missing or open budget is not.

    Of the other targets, which are judged as far as no device is asked, none is exceeded.
    """
    needed = (found.target, KEEP)
    return all(
        _met(fits) if (fits.target or found.target) in needed else not _fails(fits)
        for fits in _fits(found, route, which)
    )


def _met(fits: Fits) -> bool:
    return all(status == "ok" for status in fits.checks.values())


def _fails(fits: Fits) -> bool:
    return "FAIL" in fits.checks.values()


def _fitting(found: Comparison) -> list[str]:
    lines = []
    if found.target is None:
        lines = ["Budgets: no target is named that is measured here or estimated; `--target NAME` judges."]
    names = dict.fromkeys(fits.target or found.target or "" for fits in found.fits)
    for name in dict.fromkeys([*([found.target] if found.target else []), *names]):
        lines += _of_target(found, name)
    return lines


def _of_target(found: Comparison, name: str) -> list[str]:
    """Which routes fit a target, or keep what the recipe asks for; then of each other what it says."""
    fits = {route: _fits(found, route, "int8", name) for route in found.routes}
    fitting = [route for route, each in fits.items() if all(map(_met, each))]
    what = "the recipe's keep" if name == KEEP else name
    lines = [f"{'Meets' if name == KEEP else 'Fits'} {what} as int8: {', '.join(fitting) or 'none of them'}."]
    for route, each in fits.items():
        for one in each:
            if not _met(one):
                how = "does not" if _fails(one) else "is not shown to"
                verb = "meet" if name == KEEP else "fit"
                said = [each for each in one.said if not each.endswith(": ok")]
                lines.append(f"{route} {how} {verb} {what}: {'; '.join(said)}")
    return lines


def _pick(found: Comparison) -> list[str]:
    from .text import against, level_of, seconds
    from .wording import change

    fitting = [route for route in found.routes if within(found, route)]
    if not fitting:
        fits = {route: _fits(found, route, "int8") for route in found.routes}
        open_ = [route for route, each in fits.items() if not any(map(_fails, each))]
        missing = [route for route in open_ if any("no number" in each.checks.values() for each in fits[route])]
        help = f"decide on {', '.join(open_)} on an idle machine" if open_ else "a smaller student, or another budget"
        if missing == open_ != []:
            help = "a missing number never passes"
        exceeded = dict.fromkeys(each.target for every in fits.values() for each in every if _fails(each))
        named = dict.fromkeys(filter(None, [found.target, *exceeded]))
        needed = [*(name for name in named if name != KEEP), *(["the recipe's keep"] if _kept(found) else [])]
        return [f"Verdict: none of them is shown to meet {_and(needed) or 'the other targets'}: {help}."]
    sign = -1 if found.error else 1
    best = max(fitting, key=lambda route: sign * level_of(found, route, "int8").mean)
    alike = [route for route in fitting if route == best or not against(found, best, route, "int8").shown]

    fastest = min(seconds(found, route, "int8") or 0.0 for route in alike) or 1.0

    def cost(route: str) -> tuple[int, int, float]:
        # Times and bytes of one architecture differ by chance alone, and a tenth is no reason. What decides between
        # those that nothing else tells apart is the compute of their training.
        time, size = (seconds(found, route, "int8") or 0.0) / fastest, found.of(route)[0].files["int8"].bytes
        return round(time), round(10 * math.log2(size)), round(fmean(each.effort for each in found.of(route)), 1)

    pick = min(alike, key=cost)
    lines = [f"Verdict: {pick}, {found.routes[pick]}."]
    if pick != best:
        gap = change(against(found, best, pick, "int8"), found.error)
        unit = "" if found.error else " points"
        lines.append(f"  no difference shown between {best} and {pick} ({gap}{unit}): the cheaper one is picked")
    for route in found.routes:
        if route != pick:
            lines.append(f"  {_beside(found, pick, route)}")
    return lines


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _kept(found: Comparison) -> bool:
    return any(fits.target == KEEP for fits in found.fits)


def _beside(found: Comparison, pick: str, route: str) -> str:
    """The pick beside another route: what is gained, what it costs, and when the other would win."""
    from .text import against, seconds
    from .wording import change

    gain = against(found, pick, route, "int8")
    better = gain.mean < 0 if found.error else gain.mean > 0
    unit = "" if found.error else " points"
    mine, theirs = (seconds(found, each, "int8") for each in (pick, route))
    sizes = [found.of(each)[0].files["int8"].bytes for each in (pick, route)]
    time = f"{theirs / mine:.1f}x the time and " if mine and theirs else ""
    cost = f"{time}{sizes[1] / sizes[0]:.1f}x the bytes"
    effort = found.of(route)[0].effort / max(found.of(pick)[0].effort, 1e-9)
    said = (
        f"{change(gain, found.error)}{unit}"
        if gain.shown
        else f"no difference shown, {change(gain, found.error)}{unit}"
    )
    if not gain.shown:
        when = f"{route} would win if more seeds or test examples showed it ahead"
        if not within(found, route):
            when += ", and the budget allowed it"
    elif better:
        when = f"{route} would win only by its training, {effort:.1f}x the compute" if effort < 1 else ""
    elif not within(found, route):
        when = f"{route} would win where the budget allowed it"
    else:
        when = f"{route} would win where its cost does not count"
    return f"against {route} ({cost}): {said}{f'; {when}' if when else ''}"


def _survival(found: Comparison) -> list[str]:
    """What fusing the teachers gains, and what of that reaches the student."""
    from .text import against

    if len(found.source) > 1 or not {"teacher", "fuse", "distill", "both"} <= set(found.routes):
        return []
    gain, kept = against(found, "fuse", "teacher", "float"), against(found, "both", "distill", "float")
    survives = f": {kept.mean / gain.mean:.0%} of the gain survives." if gain.shown and kept.shown else "."
    lines = [
        f"Fusing the teachers: {_told(gain, found)} over the best single one. A student of the fused teachers: "
        f"{_told(kept, found)} over a student of the best single one{survives}"
    ]
    if "plain" in found.routes:
        room, won = against(found, "fuse", "plain", "float"), against(found, "both", "plain", "float")
        better = (room.mean < 0) == found.error
        share = f", {won.mean / room.mean:.0%} of the way" if room.shown and won.shown and better else ""
        lines.append(
            f"The fused teachers are {_told(room, found)} from the student alone; distilling them brings the student "
            f"{_told(won, found)}{share}."
        )
    return lines


def _told(value: Estimate, found: Comparison) -> str:
    from .wording import change

    said = change(value, found.error) + ("" if found.error else " points")
    return said if value.shown else f"{said} (no difference shown)"


def _quantized(found: Comparison) -> list[str]:
    """Routes that int8 costs more than chance would."""
    from .statistics import difference
    from .wording import change

    lines = []
    for route in found.routes:
        made = found.of(route)
        lost = difference(
            [each.files["int8"] for each in made], [each.files["float"] for each in made], found.metric,
            error=found.error, groups=found.groups,
        )  # fmt: skip
        if lost.shown:
            lines.append(f"{route} {change(lost, found.error)}")
    return [f"int8 against float: {', '.join(lines)}."] if lines else ["int8 against float: no difference shown."]

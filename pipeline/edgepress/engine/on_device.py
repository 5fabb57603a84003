"""Collect identity, fitness and times of a target's own device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..benchmark import paired
from ..benchmark.devices import health
from ..benchmark.devices.connect import connect
from ..benchmark.devices.transport import DeviceError
from ..benchmark.statistics import LOOKS
from ..config.target import Target
from ..core.errors import first_line
from ..core.results import Device, Samples


def measure(
    target: Target,
    models: Sequence[paired.Model],
    *,
    looks: Sequence[int] = LOOKS,
    say: paired.Say = lambda done, total, words: None,
    enough: Callable[[list[Samples]], bool] = lambda samples: False,
) -> tuple[list[Samples], Device]:
    """Return the times of `models`, of which the first is judged, and the device's facts.

    A device that fails gives its reason and no times: the models are made, and other targets have their verdicts.
    """
    facts = Device()
    try:
        with connect(target.reach, target.python, target.binary) as device:
            before = device.info()
            facts = Device(about=health.about(before), before=health.noted(before))
            health.require(target.reach, target.architecture, before, models[0].runtime)
            if target.sustained:
                say(0, 1, f"warming for {target.sustained:.0f} s")
                paired.heat(models[0], target.sustained, device)
            samples = paired.measure(models, looks=looks, device=device, say=say, enough=enough)
            samples[0] = paired.weigh(samples[0], models[0], device)
            facts = facts.model_copy(update={"after": health.noted(device.info())})
    except DeviceError as error:
        return [], facts.model_copy(update={"error": error.message, "help": error.help})
    except paired.WorkerDied as error:
        return [], facts.model_copy(update={"error": first_line(error)})
    named = [one.model_copy(update={"device": target.name}) for one in samples]
    if not target.sustained and (why := health.throttled(facts.before, facts.after)):
        facts = facts.model_copy(update={"error": why, "help": "cool it, or power it better, and measure again"})
    return named, facts

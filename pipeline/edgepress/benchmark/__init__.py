"""How latency is measured: fresh processes, interleaved rounds, and the statistics of a verdict."""

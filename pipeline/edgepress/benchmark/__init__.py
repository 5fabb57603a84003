"""Measure latency in fresh processes and interleaved rounds."""

"""Files per second: cratesort compared with simpler and other systems, in one run.

``python -m tests.benchmarks.throughput`` prints a table. Each system classifies the same files with
the same models. Compare figures only within one run.
"""

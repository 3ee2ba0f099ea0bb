"""How many files a second: cratesort beside what one would write without it, in one run.

``python -m tests.benchmarks.throughput`` prints a table. Each system classifies the same files with
the same models; a figure means something beside the others of its run only.
"""

"""Bytes that nobody wrote on purpose, for as long as one likes: ``make fuzz SECONDS=60 SEED=1``.

Whatever a file or a name holds, a reading or a `SoundError` comes out, within limits and within
five seconds. A child process reads one mutilated file after the other; its parent watches, so that
a crash or a hang inside libsndfile is a finding with a file to show for it, and not the end.

A mutator of our own: Atheris has no wheels for every Python that cratesort runs on, and sees
nothing of the libsndfile in soundfile's wheel; Hypothesis (which does the same in small, for the
tests) keeps its state in the process that crashes.
"""

"""Duration and memory of a training run, compared with one fit of the published LSTM.

``python -m tests.benchmarks.retraining --rows 12000``. Prints a table. The rows are generated names
(`training.prior.generation`) of many vendors and packs, with headers. ``--from-csv`` takes a real
table instead, repeated under other vendor names until there are enough rows.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES
from db import migrate
from db.engine import create_engine
from tests.support.labelled_rows import Row, add_labelled
from training.baselines.published_method import NameLstm
from training.data.csv_tables import read_table
from training.data.dataset import LabelledSounds
from training.prior.generation import generate_sounds
from training.prior.naming import load_naming
from training.runs.from_labels import retrain_labels

VENDORS = 40
PACKS = 5


def rows(sounds: LabelledSounds) -> Iterator[Row]:
    """Yield the sounds again and again, each time under other vendors and other names."""
    number = 0
    while True:
        for name, header, index in zip(
            sounds.names, sounds.headers, sounds.category_indices, strict=True
        ):
            vendor, pack = f"vendor {number % VENDORS}", f"pack {number // VENDORS % PACKS}"
            stem, dot, extension = str(name).rpartition(".")
            again = f"{stem or extension}_{number}{dot}{extension if stem else ''}"
            yield vendor, pack, again, _header(header), CATEGORIES[index]
            number += 1


def _header(numbers: np.ndarray) -> AudioHeader:
    size, duration, rate, channels, frames, kind = (
        None if np.isnan(value) else float(value) for value in numbers
    )
    return AudioHeader(
        file_size_bytes=None if size is None else round(np.expm1(size)),
        duration_seconds=None if duration is None else float(np.expm1(duration)),
        sample_rate_hz=None if rate is None else round(np.expm1(rate)),
        channels=None if channels is None else int(channels),
        frame_count=None if frames is None else round(np.expm1(frames)),
        sample_type=None if kind is None else SAMPLE_TYPES[int(kind)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--from-csv", help="a table of labelled sounds")
    parser.add_argument("--no-reference", action="store_true", help="leave the published LSTM out")
    options = parser.parse_args()

    sounds = (
        read_table(options.from_csv)
        if options.from_csv
        else generate_sounds(load_naming(), 1_000, seed=5)
    )
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'labels.db'}"
        migrate.upgrade(url)
        database = create_engine(url)
        add_labelled(database, islice(rows(sounds), options.rows))
        before = resource.getrusage(resource.RUSAGE_SELF)
        phases: dict[str, float] = {}
        began = time.perf_counter()
        result = retrain_labels(
            database,
            version="benchmark",
            seed=0,
            progress=lambda phase, _done, _total: phases.update(
                {phase: time.perf_counter() - began}
            ),
        )
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"retraining run of {options.rows:,} labelled rows: {seconds:.0f} s, {cpu:.0f} s of CPU")
    print(f"  largest resident memory of the process: {after.ru_maxrss / 2**20:.2f} GiB")
    for phase, end in phases.items():
        print(f"  {phase:<20} ended after {end:6.1f} s")
    print(f"  {result.sizes['learned']:,} learned, {result.sizes['held_out']:,} held out")
    print(f"  {result.verdict}: {result.reason}")
    if options.no_reference:
        return
    learned = LabelledSounds.from_rows(
        *zip(*((n, h, c, v) for v, _, n, h, c in islice(rows(sounds), options.rows)), strict=True)
    )
    began = time.perf_counter()
    NameLstm(
        learned,
        seed=0,
        batch_size=1,
        on_epoch=lambda: print(".", end="", file=sys.stderr, flush=True),
    )
    reference = time.perf_counter() - began
    print(f"one fit of the published LSTM, the same rows: {reference:.0f} s")
    print(f"  the whole retraining run takes {seconds / reference:.2f} of that")


if __name__ == "__main__":
    main()

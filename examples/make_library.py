"""Make a small library of synthesised sounds to try cratesort on.

    python examples/make_library.py DIR

Seven fictional vendors, each with its own way of naming, all twelve categories, and the containers
and encodings a marketplace receives. Every sound is synthesised here (see `synthesis`), so the
library may be copied, published and kept in a test. ``DIR/MANIFEST.csv`` holds the truth.
A second run touches nothing that is there already.

Not here: the sounds themselves (`vendors`) and anything of cratesort. Only numpy and
soundfile are needed.
"""

import csv
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from synthesis import Studio, level
from vendors import PACKS, Entry, Pack

CONTAINERS = {".wav": "WAV", ".aif": "AIFF", ".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3"}


def render(pack: Pack, entry: Entry) -> bytes:
    """Play `entry` and encode it as its file name and its pack ask.

    Returns
    -------
    bytes
        A whole audio file.
    """
    name, _, play = entry
    # Seeded by the name: a sound stays as it is when others are added around it.
    noise_source = np.random.default_rng(zlib.crc32(name.encode()))
    frames = level(play(Studio(pack.sample_rate_hz, noise_source)))[:, np.newaxis]
    if pack.channels == 2:
        # The right ear hears it 9 ms later, which is all that makes it wide.
        frames = np.hstack([frames, np.roll(frames, round(0.009 * pack.sample_rate_hz), axis=0)])
    container = CONTAINERS[os.path.splitext(name)[1].lower()]
    subtype = pack.subtype
    if not soundfile.check_format(container, subtype):
        subtype = soundfile.default_subtype(container)
    encoded = io.BytesIO()
    soundfile.write(encoded, frames, pack.sample_rate_hz, subtype, format=container)
    return encoded.getvalue()


def sounds_same(path: Path, encoded: bytes) -> bool:
    """Tell whether `path` already holds this sound, so that it need not be touched.

    Decoded frames are compared, not bytes: an Ogg stream carries a random serial number and a
    float WAV the time at which it was written.
    """
    try:
        before, before_hz = soundfile.read(path)
    except (OSError, soundfile.LibsndfileError):
        return False
    after, after_hz = soundfile.read(io.BytesIO(encoded))
    same_size = path.stat().st_size == len(encoded)
    return same_size and before_hz == after_hz and np.array_equal(before, after)


def make_library(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Write the sounds and their manifest below `folder`.

    Yields
    ------
    path : Path
        One sound.
    written : bool
        False when it was there already; its modification time is then untouched.
    """
    manifest = io.StringIO()
    truth = csv.writer(manifest, lineterminator="\n")
    truth.writerow(["path", "category"])
    for pack in PACKS:
        (folder / pack.folder).mkdir(parents=True, exist_ok=True)
        for entry in pack.entries:
            path = folder / pack.folder / entry[0]
            truth.writerow([f"{pack.folder}/{entry[0]}", entry[1]])
            encoded = render(pack, entry)
            written = not sounds_same(path, encoded)
            if written:
                path.write_bytes(encoded)
            yield path, written
    (folder / "MANIFEST.csv").write_text(manifest.getvalue(), encoding="utf-8")


def main() -> int:
    """Make the library that the command line asks for and say so in one line."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python examples/make_library.py DIR\n")
        return 2
    made = list(make_library(Path(sys.argv[1])))
    megabytes = sum(path.stat().st_size for path, _ in made) / 1e6
    new = sum(written for _, written in made)
    sys.stdout.write(f"{len(made)} sounds ({megabytes:.1f} MB, {new} new) in {sys.argv[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

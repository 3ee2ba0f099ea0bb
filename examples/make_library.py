"""Make a small library of synthesised sounds to try cratesort on.

    python examples/make_library.py DIR

The library has seven fictional vendors, each with its own naming style, all twelve categories, and
the containers and encodings that a marketplace receives. Every sound is synthesised (`synthesis`,
`vendors`), so the library may be copied, published and used in tests. ``DIR/MANIFEST.csv`` contains
the true categories. A second run does not change files that are already there.

Only numpy and soundfile are needed, not cratesort.
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
    """Return the audio file of `entry`, in the format of its file extension and its pack."""
    name, _, play = entry
    # Seeded by the name, so that a sound does not change when others are added.
    noise_source = np.random.default_rng(zlib.crc32(name.encode()))
    frames = level(play(Studio(pack.sample_rate_hz, noise_source)))[:, np.newaxis]
    if pack.channels == 2:
        # Delay the right channel by 9 ms for a stereo effect.
        frames = np.hstack([frames, np.roll(frames, round(0.009 * pack.sample_rate_hz), axis=0)])
    container = CONTAINERS[os.path.splitext(name)[1].lower()]
    subtype = pack.subtype
    if not soundfile.check_format(container, subtype):
        subtype = soundfile.default_subtype(container)
    encoded = io.BytesIO()
    soundfile.write(encoded, frames, pack.sample_rate_hz, subtype, format=container)
    return encoded.getvalue()


def sounds_same(path: Path, encoded: bytes) -> bool:
    """Return whether `path` already contains this sound.

    Decoded frames and file sizes are compared, not bytes: an Ogg stream contains a random serial
    number, and a float WAV the time at which it was written.
    """
    try:
        before, before_hz = soundfile.read(path)
    except (OSError, soundfile.LibsndfileError):
        return False
    after, after_hz = soundfile.read(io.BytesIO(encoded))
    same_size = path.stat().st_size == len(encoded)
    return same_size and before_hz == after_hz and np.array_equal(before, after)


def make_library(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Write the sounds and their manifest to `folder`.

    Yields
    ------
    path : Path
        The file of a sound.
    written : bool
        False if the file already had this sound and was not changed.
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
    """Make the library in the folder given on the command line; print a summary of one line."""
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

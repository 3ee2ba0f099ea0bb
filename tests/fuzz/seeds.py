"""Valid files to mutate: one for each format, and the first bytes of real ones."""

import os
from pathlib import Path

import soundfile

from classifier.files.extensions import AUDIO_EXTENSIONS
from tests.support import sounds
from tests.support.ogg_pages import FIRST, LAST, page
from tests.support.riff_chunks import (
    acid,
    basc,
    chunk,
    chunks_of,
    form,
    info,
    inst,
    riff,
    smpl,
    wav,
)

#: Container, and libsndfile's names of its variants.
_WRITTEN_AS = {
    "WAV": ("WAV", "WAVEX", "RF64"),
    "AIFF": ("AIFF",),
    "FLAC": ("FLAC",),
    "OGG": ("OGG",),
    "MP3": ("MP3",),
    "AU": ("AU",),
    "CAF": ("CAF",),
    "W64": ("W64",),
}
#: Encodings that libsndfile writes and cratesort refuses.
_REFUSED = ("IMA_ADPCM", "DWVW", "G721", "G723", "NMS_ADPCM", "MPEG_LAYER_I", "MPEG_LAYER_II")
#: Bytes taken from a real file: its header, and its end (a tag or a last page).
_FIRST_BYTES, _LAST_BYTES = 1024, 512
_REAL_FILES = 400

Seed = tuple[str, bytes]


def made() -> list[Seed]:
    """Return a small sound of each supported container and encoding, and some unusual ones."""
    seeds = [
        (container, sounds.encoded(name, subtype, channels, 48000 if subtype == "OPUS" else 44100))
        for container, names in _WRITTEN_AS.items()
        for name in names
        for subtype in soundfile.available_subtypes(name)
        for channels in (1, 2)
        if not subtype.startswith(_REFUSED[:-2])
        and subtype not in _REFUSED
        and (name, subtype) != ("WAV", "MPEG_LAYER_III")
        and not (subtype == "GSM610" and (channels == 2 or name == "AIFF"))
    ]
    fmt, data = wav()
    aiff = chunks_of(sounds.encoded("AIFF"), ">")
    hints = info(INAM=b"Deep Bass", IGNR=b"Techno")
    flac = sounds.encoded("FLAC")
    tag = b"ID3\4\0\0\0\0\1\0" + bytes(128)
    ogg_flac = b"\x7fFLAC\1\0\0\0fLaC\x80" + flac[5:42]
    return [
        *seeds,
        ("WAV", riff(fmt, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"odd")), data)),
        ("WAV", riff(chunk(b"bext", bytes(603)), fmt, data, chunk(b"smpl", bytes(60)))),
        ("WAV", riff(fmt, acid(beats=8, tempo_bpm=126.0), smpl(n_loops=1), hints, data)),
        ("WAV", riff(fmt, data, smpl(note=48), hints, acid(flags=3, note=57))),
        ("WAV", riff(chunk(b"fmt ", b"\x55" + fmt[9:]), chunk(b"data", sounds.encoded("MP3")))),
        ("AIFF", form(basc(), aiff[b"COMM"], aiff[b"SSND"], inst(play_mode=1))),
        ("MIDI", sounds.midi(n_tracks=2)),
        ("MP3", tag + sounds.encoded("MP3")),
        ("MP3", tag + bytes(100) + sounds.encoded("MP3")),
        ("MP3", bytes.fromhex("fffb9064").ljust(417, b"\0") * 3 + b"TAG" + bytes(125)),
        ("MP3", bytes.fromhex("fffb0064").ljust(600, b"\0") * 4),
        ("MP3", b"APETAGEX\xd0\7\0\0\x20" + bytes(51) + sounds.encoded("MP3")),
        ("FLAC", tag + flac),
        ("OGG", page(ogg_flac, flags=FIRST) + page(flac[42:300], flags=LAST, position=2205)),
        ("OGG", sounds.encoded("OGG") + sounds.encoded("OGG", "OPUS", 1, 48000)),
    ]


def real(folder: Path | None) -> list[Seed]:
    """Return the first and last bytes of real files, if `folder` exists."""
    if folder is None or not folder.is_dir():
        return []
    paths = [path for path in folder.rglob("*") if path.suffix[1:].lower() in AUDIO_EXTENSIONS]
    paths.sort(key=lambda path: (path.suffix.lower() in (".wav", ".mp3", ".flac"), path))
    every = max(1, len(paths) // _REAL_FILES)
    return [("", _ends_of(path)) for path in paths[::every]]


def _ends_of(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
        file.seek(max(_FIRST_BYTES, os.fstat(file.fileno()).st_size - _LAST_BYTES))
        return start + file.read()

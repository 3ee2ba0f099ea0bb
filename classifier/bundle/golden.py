"""Golden vectors: made-up sounds with the probabilities that the original models predict for them.

They are recorded when a bundle is published. Replaying them proves that a loaded engine still
predicts the same: on another machine, after a library upgrade, after a disk repair.
"""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.errors import BundleError, UnknownSampleTypeError
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES
from classifier.names.pack_mates import PackMates, pack_mates_of

_Predict: TypeAlias = Callable[
    [list[str], list[AudioHeader], list[PackMates | None]], NDArray[np.float32]
]

#: Accepted difference of probabilities between engines and machines; categories must be equal.
TOLERANCE: Final = 1e-4

#: Required lead of the best category. With a smaller lead rounding may decide, so the sound is not
#: used.
_CLEAR_LEAD: Final = 10 * TOLERANCE
_FEWEST_SOUNDS: Final = 32
_FOLDER_SIZE: Final = 5

_NOTHING_STATED: Final = AudioHeader(None, None, None, None, None, None)

_NAMES: Final = (
    "Kick 01.wav", "snare_rim_3.wav", "HiHatClosed7.aif", "tom lo.flac", "BD0025.wav",
    "909 clap.wav", "crash-cymbal.ogg", "XY_DrumLoop_128bpm.wav", "beat_090_funky.wav",
    "Breakbeat 174 BPM.mp3", "sub bass C1.wav", "808_long_F#.wav", "reece_bass_A.wav",
    "XY_BassLoop_140_Fmin.wav", "bassline 03 120bpm Gm.wav", "super saw pad C4.wav",
    "lead_pluck_D#3.wav", "stab.minor.01.wav",
    "XY_SynthLoop_arp_124_Amin.wav", "acid line 132 bpm.wav", "riser_8bars.wav", "Impact (3).wav",
    "foley door slam.wav", "white noise downlifter.wav", "oboe_C4_long_mezzo-forte.mp3",
    "piano_As2_v3.wav", "GuitarLoop_100_Em.wav", "strings loop 90bpm D.wav", "vox_chop_07.wav",
    "female vocal adlib dry.wav", "XY_Kit4_Lead_140_Gminor.wav", "Song2_Drums_Stem.wav",
    "construction kit 5 bass.wav", "melody.mid", "114.wav", "take_004.wav", "\u00dcberraschung.wav",
    "a.b.c.wav", "", "_-_.wav", "XY_very_long_name_with_many_words_dark_deep_wide_110_C.wav",
    "\u042d\u0445\u043e 12.wav", "KICK", "dnb_amen_chopped_F\u266fmaj.wav",
)  # fmt: skip


class GoldenSounds(NamedTuple):
    """Candidates for golden vectors; all three lists have one entry per sound."""

    names: list[str]
    headers: list[AudioHeader]
    pack_mates: list[PackMates | None]


def golden_sounds() -> GoldenSounds:
    """Return every name twice: with header and pack-mates, and without both.

    The headers state lengths from 2 ms to 8 minutes and every sample type; some state only part.
    """
    sounds = GoldenSounds([], [], [])
    for index, name in enumerate(_NAMES):
        duration_seconds = 0.002 * 1.32**index
        sample_rate_hz = (44_100, 48_000, 96_000, 22_050)[index % 4]
        frame_count = int(duration_seconds * sample_rate_hz)
        channels = 1 + index % 2
        states_length = index % 7 != 6
        header = AudioHeader(
            file_size_bytes=44 + 3 * frame_count * channels,
            duration_seconds=duration_seconds if states_length else None,
            sample_rate_hz=sample_rate_hz,
            channels=channels,
            frame_count=frame_count if states_length else None,
            sample_type=SAMPLE_TYPES[index % len(SAMPLE_TYPES)],
        )
        folder = index - index % _FOLDER_SIZE
        sounds.names.extend((name, name))
        sounds.headers.extend((header, _NOTHING_STATED))
        sounds.pack_mates.extend((pack_mates_of(_NAMES[folder : folder + _FOLDER_SIZE]), None))
    return sounds


def write_golden(
    sounds: GoldenSounds, probabilities: NDArray[np.float32], is_steady: NDArray[np.bool_]
) -> bytes:
    """Return the golden vectors as JSON: the candidates that are steady and have a clear category.

    Raises BundleError: too few candidates are left for a meaningful check.
    """
    ordered = np.sort(probabilities, axis=1)
    is_clear = is_steady & (ordered[:, -1] - ordered[:, -2] > _CLEAR_LEAD)
    entries = [
        {
            "name": name,
            "header": [getattr(header, field) for field in AudioHeader._fields],
            "mates": None if pack_mates is None else list(pack_mates.names),
            "probabilities": [float(value) for value in row],
        }
        for name, header, pack_mates, row, clear in zip(
            *sounds, probabilities, is_clear, strict=True
        )
        if clear
    ]
    if len(entries) < _FEWEST_SOUNDS:
        raise BundleError(
            f"only {len(entries)} of {len(sounds.names)} golden sounds have a clear category: "
            f"at least {_FEWEST_SOUNDS} are needed to compare the engines"
        )
    return json.dumps({"sounds": entries}, indent=0).encode("ascii")


def replay_golden(document: bytes, predict: _Predict, engine_name: str) -> None:
    """Predict every golden sound with a loaded engine and compare.

    - `predict`: `Classifier.predict` of the loaded bundle.

    Raises BundleError: `document` is not valid, or the predictions differ; the message then names
    the sound and the largest difference.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(document)["sounds"]
        names = [str(entry["name"]) for entry in entries]
        headers = [AudioHeader(*entry["header"]) for entry in entries]
        pack_mates = [
            None if entry["mates"] is None else pack_mates_of(map(str, entry["mates"]))
            for entry in entries
        ]
        expected = np.array([entry["probabilities"] for entry in entries], dtype=np.float32)
        expected = expected.reshape(len(entries), N_CATEGORIES)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"the golden vectors cannot be read: {error}") from error
    if len(entries) < _FEWEST_SOUNDS:
        raise BundleError(
            f"the bundle has {len(entries)} golden vectors; at least {_FEWEST_SOUNDS} are needed"
        )
    try:
        actual = predict(names, headers, pack_mates)
    except (ValueError, TypeError, UnknownSampleTypeError) as error:
        raise BundleError(f"the golden vectors contain invalid inputs: {error}") from error
    difference = np.abs(actual - expected).max(axis=1)
    # Written so that NaN counts as different.
    differs = ~(difference <= TOLERANCE) | (actual.argmax(axis=1) != expected.argmax(axis=1))
    if differs.any():
        worst = int(np.argmax(np.where(differs, np.nan_to_num(difference, nan=np.inf), -1)))
        raise BundleError(
            f"the {engine_name} engine's predictions for {int(differs.sum())} of {len(entries)} "
            f"golden vectors differ from those of the trained models; the largest difference is "
            f"{difference[worst]:.2g} (tolerance: {TOLERANCE:g}) for {names[worst]!r}: "
            f"{CATEGORIES[actual[worst].argmax()]}, expected {CATEGORIES[expected[worst].argmax()]}"
        )

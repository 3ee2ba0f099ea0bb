"""Golden vectors: generic sounds with the probabilities the originals gave them when published.

Replaying them proves that a loaded engine still answers as the models did on the day they were
trained: on another machine, after an upgrade of a library, after a repair of a disk.

The names are made up; no third party's file is in them.
"""

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.errors import BundleError, UnknownSampleTypeError
from classifier.headers.reader import AudioHeader
from classifier.model.header_features import SAMPLE_TYPES
from classifier.names.pack_mates import Mates, mates_of

if TYPE_CHECKING:
    from classifier.bundle.artifact import Classifier

#: Probabilities may differ by this much between engines and machines, the category never.
TOLERANCE: Final = 1e-4

#: Two best probabilities nearer than this are a tie that last digits may decide: not golden.
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


def golden_sounds() -> tuple[list[str], list[AudioHeader], list[Mates | None]]:
    """Return the candidates: every name twice, with header and mates and without either.

    Returns
    -------
    headers : list of AudioHeader
        Lengths from 2 ms to 8 minutes, every sample type, some that state only part.
    """
    names: list[str] = []
    headers: list[AudioHeader] = []
    mates: list[Mates | None] = []
    for index, name in enumerate(_NAMES):
        duration_seconds = 0.002 * 1.32**index
        sample_rate_hz = (44_100, 48_000, 96_000, 22_050)[index % 4]
        frame_count = int(duration_seconds * sample_rate_hz)
        channels = 1 + index % 2
        sample_type = SAMPLE_TYPES[index % len(SAMPLE_TYPES)]
        states_length = index % 7 != 6
        names += [name, name]
        folder = index - index % _FOLDER_SIZE
        mates += [mates_of(_NAMES[folder : folder + _FOLDER_SIZE]), None]
        headers += [
            AudioHeader(
                file_size_bytes=44 + 3 * frame_count * channels,
                duration_seconds=duration_seconds if states_length else None,
                sample_rate_hz=sample_rate_hz,
                channels=channels,
                frame_count=frame_count if states_length else None,
                sample_type=sample_type,
            ),
            _NOTHING_STATED,
        ]
    return names, headers, mates


def write_golden(
    names: list[str],
    headers: list[AudioHeader],
    mates: list[Mates | None],
    probabilities: NDArray[np.float32],
    is_steady: NDArray[np.bool_],
) -> bytes:
    """Return the golden vectors as JSON: the candidates that are no ties and steady.

    Raises
    ------
    BundleError
        Too few of them are left to prove anything.
    """
    ordered = np.sort(probabilities, axis=1)
    is_clear = is_steady & (ordered[:, -1] - ordered[:, -2] > _CLEAR_LEAD)
    sounds = [
        {
            "name": name,
            "header": [getattr(header, field) for field in AudioHeader._fields],
            "mates": None if folder is None else list(folder.names),
            "probabilities": [float(value) for value in row],
        }
        for name, header, folder, row, clear in zip(
            names, headers, mates, probabilities, is_clear, strict=True
        )
        if clear
    ]
    if len(sounds) < _FEWEST_SOUNDS:
        raise BundleError(
            f"only {len(sounds)} of {len(names)} golden sounds have a clear category: "
            f"at least {_FEWEST_SOUNDS} are needed to prove that the engines agree"
        )
    return json.dumps({"sounds": sounds}, indent=0).encode("ascii")


def replay_golden(document: bytes, classifier: "Classifier") -> None:
    """Ask `classifier` for every golden sound and compare.

    Raises
    ------
    BundleError
        It answers differently; the message names the sound and the largest difference.
    """
    try:
        sounds: list[dict[str, Any]] = json.loads(document)["sounds"]
        names = [str(sound["name"]) for sound in sounds]
        headers = [AudioHeader(*sound["header"]) for sound in sounds]
        mates = [None if s["mates"] is None else mates_of(map(str, s["mates"])) for s in sounds]
        expected = np.array([s["probabilities"] for s in sounds], dtype=np.float32)
        expected = expected.reshape(len(sounds), N_CATEGORIES)
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise BundleError(f"the golden vectors are not readable: {fault}") from fault
    if len(sounds) < _FEWEST_SOUNDS:
        raise BundleError(f"{len(sounds)} golden sounds prove nothing: {_FEWEST_SOUNDS} are needed")
    try:
        found = classifier.predict(names, headers, mates)
    except (ValueError, TypeError, UnknownSampleTypeError) as fault:
        raise BundleError(f"the golden vectors are not of sounds: {fault}") from fault
    difference = np.abs(found - expected).max(axis=1)
    # Written so that NaN counts as different.
    differs = ~(difference <= TOLERANCE) | (found.argmax(axis=1) != expected.argmax(axis=1))
    if differs.any():
        worst = int(np.argmax(np.where(differs, np.nan_to_num(difference, nan=np.inf), -1)))
        found_category = CATEGORIES[found[worst].argmax()]
        expected_category = CATEGORIES[expected[worst].argmax()]
        raise BundleError(
            f"the {classifier.engine_name} engine answers {int(differs.sum())} of {len(sounds)} "
            f"golden sounds unlike the trained models, the worst {names[worst]!r}: "
            f"{found_category} instead of {expected_category}, "
            f"probabilities up to {difference[worst]:.2g} apart (allowed: {TOLERANCE:g})"
        )

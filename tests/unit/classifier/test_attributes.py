"""What is learned of a sound beside its category, and where from."""

from dataclasses import astuple, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.headers.loop_metadata import LoopInfo
from classifier.headers.reader import AudioHeader
from classifier.names.attributes import Attributes, attributes_of
from cli.results import COLUMNS
from db.results.sounds import ATTRIBUTES


def header(seconds=None, sample_type="PCM_16", **info):
    """A header of that length, whose chunks state this."""
    frames = None if seconds is None else round(seconds * 44100)
    loop_info = LoopInfo(**info) if info else None
    return AudioHeader(100_000, seconds, 44100, 2, frames, sample_type, loop_info)


def tempo(*asked, **options):
    found = attributes_of(*asked, **options)
    return found.tempo_bpm, found.tempo_source


def key(*asked, **options):
    found = attributes_of(*asked, **options)
    return found.musical_key, found.key_source


def playback(*asked, **options):
    found = attributes_of(*asked, **options)
    return found.playback, found.playback_source


def instrument(*asked, **options):
    found = attributes_of(*asked, **options)
    return found.instrument, found.instrument_source


NOTHING = (None, None)


@pytest.mark.parametrize(
    ("name", "seconds", "expected"),
    [
        (
            "bass_loop_120_Am.wav", 8.0,
            (120.0, "name", "A minor", "name", "loop", "name", "bass", "name"),
        ),
        (
            "bass_loop_120_Am.wav", None,
            (120.0, "name", "A minor", "name", "loop", "name", "bass", "name"),
        ),
        (
            "AB_CDE_90_guitar_riff_C#min.wav", 10.6667,
            (90.0, "name", "C# minor", "name", "loop", "name", "guitar", "name"),
        ),
        (
            "XY_kick_one_shot_standard.wav", 0.4,
            (None, None, None, None, "one-shot", "name", "kick", "name"),
        ),
        (
            "snare-03.wav", 0.3,
            (None, None, None, None, "one-shot", "duration", "snare", "name"),
        ),
        ("AKWF.wav", None, (None,) * 8),
    ],
)  # fmt: skip
def test_all_attributes_of_one_sound(name, seconds, expected):
    assert astuple(attributes_of(name, header(seconds))) == expected


def test_a_value_and_its_source_are_columns_of_the_table_and_of_the_results():
    names = tuple(field.name for field in fields(Attributes))
    assert names == ATTRIBUTES
    first = COLUMNS.index(names[0])
    assert COLUMNS[first : first + len(names)] == names


# Tempo


@pytest.mark.parametrize(
    ("name", "seconds", "tempo_bpm"),
    [
        ("beat_140.wav", 16 * 60 / 140, 140.0),
        ("loop_120.wav", 1.0, 120.0),  # half a bar: it says that it is a loop
        ("beat_120.wav", 1.0, None),
        ("SNARE87.wav", 0.29, None),
        ("loop_120.wav", 3.9, None),
        ("loop_120.wav", 7.99, 120.0),
        ("loop_100_128.wav", 7.5, 128.0),
        ("loop_60_120.wav", 8.0, None),
        ("120.wav", 8.0, None),
        ("d2-120.wav", 8.0, None),
        ("loop_120.wav", None, 120.0),
        ("chords_120_Am.mid", None, 120.0),
        ("melody_87.mid", None, None),
        ("snare_128bpm.wav", 0.3, 128.0),
    ],
)
def test_a_bare_number_is_a_tempo_if_the_duration_fits_whole_bars(name, seconds, tempo_bpm):
    assert tempo(name, header(seconds)) == (tempo_bpm, tempo_bpm and "name")


def test_a_lossy_encoder_may_have_added_silence():
    seconds = 8.0 + 0.05
    assert tempo("loop_120.mp3", header(seconds, "MPEG_LAYER_III")) == (120.0, "name")
    assert tempo("loop_120.wav", header(seconds)) == NOTHING
    assert tempo("loop_120.mp3", header(8.0 - 0.05, "MPEG_LAYER_III")) == NOTHING


@pytest.mark.parametrize(
    ("info", "tempo_bpm"),
    [
        ({"tempo_bpm": 126.0, "beats": 8}, 126.0),
        ({"tempo_bpm": 127.99871}, 128.0),
        ({"beats": 8}, 120.0),
        ({"beats": 1}, None),
        ({"beats": 8000}, None),
        ({"is_one_shot": True}, None),
    ],
)
def test_the_tempo_comes_from_chunks_that_state_it_or_the_beats(info, tempo_bpm):
    assert tempo("bass.wav", header(4.0, **info)) == (tempo_bpm, tempo_bpm and "header")


def test_beats_give_no_tempo_if_the_duration_is_unknown():
    assert tempo("bass.wav", header(None, beats=8)) == NOTHING


# Precedence


def test_the_name_takes_precedence_over_chunks_and_chunks_over_folders():
    stated = header(
        2.0, is_one_shot=True, tempo_bpm=100.0, root_note=57, is_minor=True, title="Piano"
    )
    folders = ["Guitar Loops 90 BPM Dm"]
    by_name = attributes_of("bass_loop_120bpm_Em.wav", stated, folders, folder_words=True)
    by_chunks = attributes_of("x.wav", stated, folders, folder_words=True)
    by_folder = attributes_of("x.wav", header(2.0), folders, folder_words=True)
    assert astuple(by_name) == (
        120.0, "name", "E minor", "name", "loop", "name", "bass", "name",
    )  # fmt: skip
    assert astuple(by_chunks) == (
        100.0, "header", "A minor", "header", "one-shot", "header", "piano", "header",
    )  # fmt: skip
    assert astuple(by_folder) == (
        90.0, "folder", "D minor", "folder", "loop", "folder", "guitar", "folder",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["Drums", "Kicks"], ("kick", "folder")),
        (["Kicks", "Vol 1"], ("kick", "folder")),
        (["Kicks", "Vol 1", "24 Bit"], NOTHING),
        ([], NOTHING),
    ],
)
def test_the_last_two_folders_are_searched_nearest_first(folders, expected):
    assert instrument("x.wav", header(), folders, folder_words=True) == expected
    assert instrument("x.wav", header(), folders) == NOTHING


@pytest.mark.parametrize("folder", ["B", "Part A", "Pack 120", "C4", "Eb", "F#"])
def test_only_unambiguous_folder_words_count(folder):
    found = attributes_of("bass.wav", header(), [folder], folder_words=True)
    assert (found.tempo_bpm, found.musical_key) == NOTHING


# Key


@pytest.mark.parametrize(
    ("name", "info", "expected"),
    [
        ("bass.wav", {"root_note": 57, "is_minor": True}, ("A minor", "header")),
        ("bass.wav", {"root_note": 61, "is_minor": False}, ("C# major", "header")),
        ("bass.wav", {"root_note": 0}, ("C", "header")),
        ("x.wav", {"root_note": 127}, ("G", "header")),
        ("snare.wav", {"root_note": 57}, NOTHING),
        ("bass_Eb.wav", {"root_note": 57}, ("Eb", "name")),
    ],
)
def test_a_root_note_from_a_chunk_has_no_octave_and_is_ignored_for_snares(name, info, expected):
    assert key(name, header(1.0, **info)) == expected


def test_a_single_letter_is_a_key_only_beside_a_tempo_in_the_name():
    assert key("Acid_8_C_175bpm.wav", header(10.971429)) == ("C", "name")
    assert key("Acid_8_C.wav", header(10.971429, tempo_bpm=175.0)) == NOTHING


def test_lower_case_letters_are_no_notes_for_an_unknown_instrument():
    assert key("zzz_b3.wav", header(1.0)) == NOTHING
    assert key("zzz_B3.wav", header(1.0)) == ("B3", "name")


# Loop or one-shot


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bass loop.wav", "loop"),
        ("DrumLoops01.wav", "loop"),
        ("synth_oneshot.wav", "one-shot"),
        ("synth one shot.wav", "one-shot"),
        ("Synth_OneShot_120bpm.wav", "one-shot"),
        ("synth-1-shot.wav", "one-shot"),
        ("brass_hit_120bpm.wav", "one-shot"),
        ("snare shot.wav", "one-shot"),
        ("hit_loop.wav", "loop"),
        ("riff_120bpm.wav", "loop"),
        ("loop one shot.wav", None),
        ("shotgun.wav", None),
        ("white.wav", None),
    ],
)
def test_loop_or_one_shot_is_read_from_the_name(name, said):
    assert playback(name, header()) == (said, said and "name")


@pytest.mark.parametrize(
    ("name", "seconds", "expected"),
    [
        ("kick_128bpm.wav", 0.4, ("one-shot", "duration")),  # a hit of a kit of that tempo
        ("bass_128bpm.wav", 1.5, NOTHING),
        ("bass_120bpm.wav", 2.0, ("loop", "name")),
        ("bass_120bpm.wav", 9.3, ("loop", "name")),  # with its tail
        ("x.wav", 0.5, ("one-shot", "duration")),
        ("x.wav", 1.3, NOTHING),
    ],
)
def test_loop_or_one_shot_is_read_from_the_duration_if_the_name_states_neither(
    name, seconds, expected
):
    assert playback(name, header(seconds)) == expected


def test_whole_bars_at_a_folders_tempo_are_a_loop():
    folders = ["120 BPM"]
    assert playback("x.wav", header(8.0), folders, folder_words=True) == ("loop", "duration")
    assert playback("x.wav", header(7.0), folders, folder_words=True) == NOTHING


def test_folders_with_loops_and_one_shots_state_neither():
    folders = ["Loops and One Shots"]
    assert playback("x.wav", header(5.0), folders, folder_words=True) == NOTHING


# Anything

#: As long as headers are believed to be (2^43 frames), and longer.
SECONDS = st.one_of(st.none(), st.floats(0, 1e14))
INFO = st.builds(
    LoopInfo,
    beats=st.one_of(st.none(), st.integers(1, 8192)),
    tempo_bpm=st.one_of(st.none(), st.floats(20, 400)),
    root_note=st.one_of(st.none(), st.integers(0, 127)),
    title=st.one_of(st.none(), st.text()),
)


@given(st.text(), st.lists(st.text(), max_size=3), SECONDS, INFO)
def test_no_input_raises_an_error(name, folders, seconds, info):
    sound = AudioHeader(1, seconds, 44100, 2, 1, "PCM_16", info)
    found = attributes_of(name, sound, folders, folder_words=True)
    values = astuple(found)
    assert [value is None for value in values[::2]] == [source is None for source in values[1::2]]
    assert found.tempo_bpm is None or 20 <= found.tempo_bpm <= 400

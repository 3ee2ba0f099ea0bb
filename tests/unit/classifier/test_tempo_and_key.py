"""Tempo and key as names state them: the notations that are known, and what says nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from classifier.names.cleaning import clean_name
from classifier.names.instruments import Pitch
from classifier.names.tempo_and_key import possible_tempos_bpm, stated_key, stated_tempo_bpm
from classifier.names.tokens import name_pieces, tokenise


@pytest.mark.parametrize(
    ("name", "tempo_bpm"),
    [
        ("loop_128bpm.wav", 128),
        ("Loop 128 BPM.wav", 128),
        ("Bpm110_D_Name_Bass01.wav", 110),
        ("bpm 110.wav", 110),
        ("Vendor - Bass Loop 3 - 128 BPM E Min.wav", 128),
        ("AB_CDE_90-bpm_kick.wav", 90),
        ("loop_127.5bpm.wav", 127.5),
        ("loop 92,5 BPM.wav", 92.5),
        ("loop_174.00bpm.wav", 174),
        ("loop_90_bpm120.wav", 120),
        ("loop_05_bpm120.wav", 120),
        ("120bpm_loop_120bpm.wav", 120),
        ("808_120bpm.wav", 120),
        ("slow_45bpm.wav", 45),
        ("loop_20bpm.wav", 20),
        ("loop_400bpm.wav", 400),
        ("loop_120bpm_to_140bpm.wav", None),
        ("128-130 bpm.wav", None),
        ("bpm 90 to 120.wav", None),
        ("01-128bpm.wav", 128),
        ("loop_128.wav", None),
        ("loop_19bpm.wav", None),
        ("loop_401bpm.wav", None),
        ("loop_999bpm.wav", None),
        ("loop_5bpm.wav", None),
        ("bpm.wav", None),
        ("1128bpm.wav", None),
        ("subpm128.wav", None),
        ("", None),
    ],
)
def test_a_tempo_beside_the_word_bpm_is_stated(name, tempo_bpm):
    assert stated_tempo_bpm(name) == tempo_bpm


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("bass_loop_120_Am.wav", (120,)),
        ("Song3_Acid_175.wav", (175,)),
        ("syn80.wav", (80,)),
        ("kick_808.wav", ()),
        ("TR909_kick_101.wav", ()),
        ("kick_007.wav", ()),
        ("kick_059.wav", ()),
        ("kick_59.wav", ()),
        ("kick_201.wav", ()),
        ("loop_120_90_120.wav", (120, 90)),
        ("loop_٦٦.wav", ()),
        ("Vocal Take 96kHz.wav", ()),
        ("Juno-60 loop.wav", ()),
        ("Take 100.wav", ()),
        ("piano_vel127_120.wav", (120,)),
        ("9" * 5000, ()),
        # Measured or counted.
        ("Tone 120 hertz.wav", ()),
        ("Hum 60 cycles.wav", ()),
        ("Rain 90 min.wav", ()),
        ("Engine 90km.wav", ()),
        ("120kmh.wav", ()),
        ("120 km h.wav", ()),
        ("Car 120 mph.wav", ()),
        ("Temp 90F.wav", ()),
        ("Oven 90C.wav", ()),
        ("Kick RR 90.wav", ()),
        ("Piano p90.wav", ()),
        ("Note 60.wav", ()),
        ("Snare 90 pcs.wav", ()),
        ("150 drums.wav", ()),
        ("120-filterhats.wav", (120,)),
        ("120 bass.wav", (120,)),
        ("No. 120 loop.wav", ()),
        ("loop #120.wav", ()),
        ("\u2116 120.wav", ()),
        ("F#120 loop.wav", (120,)),
        ("loop 100 of 120.wav", ()),
        ("128-130 bpm.wav", ()),
        ("120bpm to 140bpm.wav", ()),
    ],
)
def test_bare_numbers_that_are_tempo_candidates(name, numbers):
    assert possible_tempos_bpm(name) == numbers


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("bass_120_Am.wav", "A minor"),
        ("bass_120_Amin.wav", "A minor"),
        ("bass_120_A#min.wav", "A# minor"),
        ("ANNA_BELL_synth_loop_deep_90_Dbmin.wav", "Db minor"),
        ("HT5_Kit4_lead_loop1_140_Gminor.wav", "G minor"),
        ("Song3_Acid_UpDown_Fmajor_175bpm.wav", "F major"),
        ("Lead G Maj.wav", "G major"),
        ("Lead - 128 BPM E Min.wav", "E minor"),
        ("Lead Fsharp minor.wav", "F# minor"),
        ("Lead f# minor.wav", "F# minor"),
        ("C sharp minor 90 loop.wav", "C# minor"),
        ("e flat Major 90 loop.wav", "Eb major"),
        ("F Sharp Loop.wav", "F#"),
        ("A Sharp Knife.wav", None),
        ("A4 paper.wav", None),
        ("F1 car.wav", None),
        ("lead_dbmin.wav", "Db minor"),
        ("CODE - Ab minor - 124 BPM - Left And Right.wav", "Ab minor"),
        ("Guitar_F_Harmonic_Minor_3-4_86BPM.wav", "F minor"),
        ("Bass_A_Major_72BPM.wav", "A major"),
        ("Lead_F♯m.wav", "F# minor"),
        ("Lead_F#M.wav", "F# major"),
        ("Bass #D.wav", "D#"),
        ("Bass F#.wav", "F#"),
        ("Bass Eb.wav", "Eb"),
        ("Pad Bflat.wav", "Bb"),
        ("Bass C4.wav", "C4"),
        ("oboe_As2_1_forte.wav", "A#2"),
        ("arco_gb4_vl3.wav", "Gb4"),
        ("arco_c4_vl3.wav", "C4"),
        ("B1-Eb.wav", "Eb"),
        ("Am_loop_Am.wav", "A minor"),
        # Said in two ways, or not at all.
        ("Am_to_Dm.wav", None),
        ("B4-G.wav", None),
        ("C4_D4.wav", None),
        ("I_Am_Here.wav", None),
        ("Who Am I.wav", None),
        ("FM Bass.wav", None),
        ("AM_RADIO.wav", None),
        ("BASS_120_F#M.wav", None),
        ("Bass A.wav", None),
        ("Bass 4A.wav", None),
        ("bass.wav", None),
        ("", None),
    ],
)
def test_a_key_a_root_or_a_note_is_stated(name, key):
    assert stated_key(name, pitch=Pitch.KEY) == key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("RRML1_Acid_8_C_175bpm.wav", "C"),
        ("135_C_Name_01_XY.wav", "C"),
        ("Ambience_A_85BPM.wav", "A"),
        ("bass_loop_120_G.wav", "G"),
        ("This_Is_A_Test_120bpm.wav", None),
        ("A_loop_120_B.wav", None),
        ("Bass 4A 124.wav", "F minor"),
        ("Bass4A_124.wav", "F minor"),
        ("Bass 124 11B.wav", "A major"),
        ("Bass 12A 124.wav", "Db minor"),
        ("Bass 1B 124 B.wav", None),
        ("1A Bass 124 G#m.wav", "G# minor"),
        ("Bass 08A 124.wav", "A minor"),
        ("Note C 120.wav", "C"),
        # A letter that counts or is spelled.
        ("Loop 120 B P M.wav", None),
        ("Part B 120.wav", None),
        ("Side B 120bpm.wav", None),
        ("Take A 120.wav", None),
        ("120 Section C.wav", None),
        ("120 Mic A.wav", None),
        ("Vitamin D 120.wav", None),
        ("120 Version B.wav", None),
    ],
)
def test_a_single_letter_is_a_key_after_a_tempo(name, key):
    assert stated_key(name, pitch=Pitch.KEY, letters=True) == key


@pytest.mark.parametrize(
    ("name", "pitch", "key"),
    [
        ("Kick_C2.wav", Pitch.NOTE, "C2"),
        ("Kick_F#.wav", Pitch.NOTE, "F#"),
        ("kick_b3.wav", Pitch.NOTE, None),
        ("Snare_B3.wav", Pitch.NONE, None),
        ("Snare_Eb.wav", Pitch.NONE, None),
        ("Snare_Roll_Am.wav", Pitch.NONE, "A minor"),
        ("Kick 4A 120.wav", Pitch.NOTE, None),
    ],
)
def test_only_an_unambiguous_key_counts_for_drums(name, pitch, key):
    assert stated_key(name, pitch=pitch, letters="120" in name) == key


@given(st.text(max_size=200))
@example("#" * 100)
@example("1," * 100 + "bpm")
@example("bpm_" * 500)
def test_any_name_is_read(name):
    stated_tempo_bpm(name)
    possible_tempos_bpm(name)
    for pitch in Pitch:
        stated_key(name, pitch=pitch, letters=True)


@given(st.text(alphabet="abF#Csharpflt 1_-9", max_size=30))
def test_the_pieces_of_a_name_lose_none_of_its_letters_and_digits(name):
    assert "".join(name_pieces(name)).replace("#", "") == "".join(
        filter(str.isalnum, clean_name(name))
    )
    assert len(tokenise(name)) <= max(1, len(name_pieces(name)))

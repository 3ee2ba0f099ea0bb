"""The starter knows how sounds are commonly named, and which names say nothing."""

import pytest

from classifier.bundle.load import load_starter
from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from classifier.model.confidence import needs_review
from classifier.model.header_features import header_matrix
from classifier.names.pack_mates import pack_mates_of

NOTHING_STATED = AudioHeader(None, None, None, None, None, None)

SAY_NOTHING = {
    "recorders": """
        DR0000_0123, STE-001, ZOOM0001, ZOOM0012_LR, TASCAM_0007, H4N_0012, R07_0005, SR001,
        REC001, REC_20210304, 200517_0034, MIC1_0001, PCM0001, VN-0034, IMG_2034, MOV_0012,
        AUD-20210304-WA0001, WhatsApp Audio 2021-03-04 at 12.01.32, New Recording 5,
        Recording 12, Neue Aufnahme 3, Nouvel enregistrement 7, Nueva grabaci\u00f3n 2, Memo
        3, \u5f55\u97f3 3, \u0417\u0430\u043f\u0438\u0441\u044c 4
    """,
    "recorders of voices": """
        Voice 001, Voice_210304_001, VOICE001, Voice Memo 4, My voice 3, Voice Recorder 3,
        VoiceNote_001, Memo vocal 3, M\u00e9mo vocal 12, Enregistrement vocal 3, Message
        vocal 4, Vocal memo 2, Nota de voz 3, Voix 003, Voce 003, Stimme 3,
        \u0413\u043e\u043b\u043e\u0441 003, \u0417\u0430\u043f\u0438\u0441\u044c
        \u0433\u043e\u043b\u043e\u0441\u0430 3, \u8a9e\u97f3 003,
        \u8bed\u97f3\u5907\u5fd8\u5f55 2, \uc74c\uc131 \uba54\ubaa8 4,
        \u30dc\u30a4\u30b9 003
    """,
    "programs": """
        Audio 1, 01-Audio, 2-Audio 0003, Audio 1_03, Take 3, Take_12, untitled, Untitled 2,
        unnamed, Track 4, Tr1, bounce 1, Bounce 12, mixdown, export_final, Freeze 1,
        Consolidated, Master, Stereo Out, Insert 1, Bus 3, Inst 4, Clip 01, Region 2, MIDI
        5, Senza titolo, Unbenannt, sans titre 2, Sample 12, Project 12, Song 1, demo 4
    """,
    "things that are called like instruments": """
        Cowboy Hat, Pad Thai, Mouse Pad 2, Brake Pads, Kit Kat, First Aid Kit, Tom Hanks,
        Pacific Rim, Crash Bandicoot 3, Car Crash, Lead Balloon, Train Ride, SD card
    """,
    "numbers": """
        1, 12, 007, 114, 0815, 48000, 1234567, 001_002, A, x, zzz, q1w2, xk3j2, 9e107d9d, _,
        -
    """,
    "notes to oneself": """
        keep this, my idea, thing_02, new new, final final, final_v2, test 2, good one, use
        this, better version, wip 3, stuff, misc, random, Copy of something, part 2, section
        b
    """,
    "people and places": """
        John Smith, Maria Gonzalez, Yuki Tanaka, Lars Andersson 02, Ahmed 3, Giulia Rossi,
        Nina Simone, Chet Baker, \u0418\u0432\u0430\u043d
        \u041f\u0435\u0442\u0440\u043e\u0432, \u738b\u82b3, Tokyo Nights, Paris 2,
        Barcelona, Midnight City, Riverside, Old Town Road, Winter Palace
    """,
    "sung words": """
        hello, hello world, one more time, love me tender, check this out, i need you,
        maybe, don't know, come back to me, all night long
    """,
    "words of any dictionary": """
        elephant, umbrella 7, invoice, strawberry, democracy, station, river, radio,
        Schmetterling, Fenster, Zucker, papillon, fromage, zapato rojo, cuchara 2,
        arcobaleno, bicicletta, jardim, saudade, skogen, kirja, okno, kitap, rumah
    """,
}
PLAIN = {
    "drum": """
        Kick 01, kick_808, BD0025, Snare 3, snare_tight_04, Clap 909, Closed Hat 02,
        HiHat_Open_7, Ride Cymbal 1, Crash 2, Tom Low, Shaker 05, Conga Slap, Cowbell,
        Rimshot 3, Perc 11, Bobby Brown Clap, Tokyo Nights - Kick 01, \u30ad\u30c3\u30af 01
    """,
    "effects": """
        riser 02, Impact_03, white noise sweep, Downlifter 4, foley footsteps, FX Whoosh 1,
        FX_zap
    """,
    "instruments": """
        Piano C4, oboe_C4_long_mezzo-forte, Guitar Strum Em, Violin A3 staccato, Trumpet D4
    """,
    "synth": "Synth Pad C4, super saw lead, Pluck A3, Synth Stab 02",
    "bass": "sub bass C1, Reese Bass F#, 808_bass_A",
    "vocal": "Vocal Chop 07, vox_female_02, Vocal Adlib 3, Female Voice Chant, Vox Hook",
}
LOOPS = {
    "drum-loop": """
        Drum Loop 120 BPM, XY_DrumLoop_128bpm, Breakbeat 174 BPM, Percussion Loop 02 - 124
        BPM
    """,
    "bass-loop": "Bass Loop 140 Fmin, XY_BassLoop_128bpm_Am",
    "synth-loop": "Synth Loop 128 Amin, Arp Loop 124 Cm",
    "instrumental-loops": "Guitar Loop 100 BPM Em, Piano Loop 90 Cmin",
}
#: Right or reviewed: words that contradict each other, and names of artists beside a plain word.
AMBIGUOUS = {
    "drum": "Kit 03 Clap, Kit 2 Snare, Ahmed Hassan Darbuka 07, Lars Andersson Snare 4",
    "drum-loop": "Hantu HC Kit - 36 Hihat Loop 174BPM, Jim Morrison Snare Loop 96",
    "instruments": "Maria Lopez Guitar 01, Yuki Tanaka - Koto 3, Giulia Rossi Violin A3",
    "synth": "Midnight City Synth Lead C",
}


@pytest.fixture(scope="module")
def starter():
    return load_starter()


def listed(names: str) -> list[str]:
    return [f"{name.strip()}.wav" for name in names.split(",")]


def lasting(seconds: float) -> AudioHeader:
    frames = int(seconds * 44_100)
    return AudioHeader(44 + 4 * frames, seconds, 44_100, 2, frames, "PCM_16")


def answered(starter, names, header, mates=None):
    """The category of each name, and whether it needs a review."""
    found = starter.predict_detailed(
        names, header_matrix([header] * len(names)), [mates] * len(names)
    )
    unsure = needs_review(found.kinds, found.probabilities.max(axis=1), starter.review_below)
    categories = [CATEGORIES[best] for best in found.probabilities.argmax(axis=1)]
    return dict(zip(names, zip(categories, unsure.tolist(), strict=True), strict=True))


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("kick.wav", "drum"),
        ("hh (5).wav", "drum"),
        ("SD0025.WAV", "drum"),
        ("tom lo.wav", "drum"),
        ("NV_128_bass_loop_Fmin.wav", "bass-loop"),
        ("ANNA_BELL_synth_loop_deep_90_Dbmin.wav", "synth-loop"),
        ("XX_142_kit_name_bass_Dmin.wav", "kits-n-templates"),
        ("Riser 7 (32 Beats).wav", "effects"),
        ("vox.wav", "vocal"),
        ("pad.wav", "synth"),
    ],
)
def test_a_common_name_alone_is_classified_correctly(starter, name, category):
    probabilities = starter.predict([name], [NOTHING_STATED])[0]
    assert CATEGORIES[probabilities.argmax()] == category


@pytest.mark.parametrize("kind", SAY_NOTHING)
@pytest.mark.parametrize("seconds", [None, 0.4, 2.0, 7.742, 60.0])
def test_a_name_without_known_words_is_never_confident(starter, kind, seconds):
    names = listed(SAY_NOTHING[kind])
    header = NOTHING_STATED if seconds is None else lasting(seconds)
    for mates in (None, pack_mates_of(names)):
        found = starter.predict_detailed(
            names, header_matrix([header] * len(names)), [mates] * len(names)
        )
        assert found.probabilities.max() < starter.review_below
        sure = [
            name
            for name, (_, unsure) in answered(starter, names, header, mates).items()
            if not unsure
        ]
        assert sure == []


@pytest.mark.parametrize(
    ("table", "seconds"), [(PLAIN, 0.5), (PLAIN, 2.0), (PLAIN, None), (LOOPS, 7.742), (LOOPS, None)]
)
def test_a_plain_name_is_correct_and_not_flagged(starter, table, seconds):
    header = NOTHING_STATED if seconds is None else lasting(seconds)
    for category, names in table.items():
        found = answered(starter, listed(names), header)
        assert found == dict.fromkeys(found, (category, False))


def test_plain_names_in_one_mixed_folder_are_not_flagged(starter):
    names = [
        name for table in (PLAIN, SAY_NOTHING) for text in table.values() for name in listed(text)
    ]
    found = answered(starter, names, lasting(1.0), pack_mates_of(names))
    reviewed = [name for text in PLAIN.values() for name in listed(text) if found[name][1]]
    assert reviewed == []


@pytest.mark.parametrize("seconds", [None, 0.4, 2.0, 7.742])
def test_contradicting_words_are_correct_or_flagged(starter, seconds):
    header = NOTHING_STATED if seconds is None else lasting(seconds)
    for category, names in AMBIGUOUS.items():
        for name, (found, unsure) in answered(starter, listed(names), header).items():
            assert unsure or found == category, name


def test_a_word_contradicted_by_its_folder_is_correct_or_flagged(starter):
    kicks = [f"Kick {number:02}.wav" for number in range(1, 31)]
    mates = pack_mates_of([*kicks, "Vocal 07.wav"])
    found = answered(starter, ["Vocal 07.wav", "Kick 07.wav"], lasting(0.5), mates)
    assert found["Vocal 07.wav"][1]
    assert found["Kick 07.wav"] == ("drum", False)

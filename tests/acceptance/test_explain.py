"""``cratesort explain``: what a sound's category rests on, for a person and for a program."""

import json
import os

import pytest

from classifier.categories import CATEGORIES
from classifier.names.pack_mates import pack_mates_of
from classifier.names.tokens import tokenise
from tests.support import sounds
from tests.support.command_line import parsed
from workers.serving.explanation import words_cut

WIDTH = 80


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(sounds.encoded())


@pytest.fixture(scope="module")
def crate(tmp_path_factory):
    """A kick, a pack whose folder speaks, one whose mates do, and a file that is no sound."""
    crate = tmp_path_factory.mktemp("crate")
    put(crate / "one", "Kick 01.wav")
    put(crate / "Kicks", "01.wav", "02.wav", "03.wav")
    put(crate / "mixed bag", "AB7.wav", *(f"Riser Sweep {index}.wav" for index in range(1, 40)))
    put(crate / "loops", "Acme_Bass_Loop_120bpm_F#min.wav")
    long = "Acme very long name of a warm and wide analogue bass loop that never ends"
    put(crate / "wide", f"{long} {long} 120bpm.wav", "音の名前" * 15 + ".wav")
    (crate / "letter.wav").write_text("Dear Sir\n")
    (crate / "notes").mkdir()
    (crate / "notes" / "Kick 01.mid").write_bytes(sounds.midi())
    return crate


@pytest.fixture(scope="module")
def explain(run_at_home):
    """What ``cratesort explain ... --json`` says of its files."""

    def run(*paths, code=0, settings=None):
        done = run_at_home("explain", "--json", *paths, settings=settings or {})
        assert done.code == code, done.stderr
        answer = json.loads(done.stdout)
        assert list(answer) == ["sounds"]
        return answer["sounds"]

    return run


def test_a_name_with_kick_is_a_drum_by_its_name(explain, crate):
    (sound,) = explain(crate / "one" / "Kick 01.wav")
    assert (sound["category"], sound["evidence"]) == ("drum", "name")
    assert sound["tokens"] == ["kick", "<index>"]
    assert sound["known_words"] == ["kick"]
    assert sound["words"][0]["word"] == "Kick"
    assert sound["words"][0]["without"] < sound["confidence"]
    assert (sound["folder_words"], sound["predictions"]["name_and_folders"]) == ([], None)
    assert sound["predictions"]["name"]["category"] == "drum"
    assert sound["by_products"]["instrument_source"] == "name"
    assert sound["mates"] == {"count": 1, "others": [], "categories": {"drum": 1}}


def test_a_name_without_evidence_is_explained_by_its_folder(explain, crate):
    (sound,) = explain(crate / "Kicks" / "01.wav")
    assert (sound["category"], sound["evidence"]) == ("drum", "folder")
    assert sound["name_read"] == "Kicks 01.wav"
    assert sound["folder_words"] == ["Kicks"]
    assert (sound["words"][0]["word"], sound["words"][0]["source"]) == ("Kicks", "folder")
    predictions = sound["predictions"]
    assert predictions["name_and_folders"]["category"] == "drum"
    by_name, with_folders = predictions["name"], predictions["name_and_folders"]
    assert by_name["probability"] < with_folders["probability"]


def test_a_midi_file_is_explained_by_its_format(explain, crate):
    (midi,) = explain(crate / "notes" / "Kick 01.mid")
    assert (midi["category"], midi["evidence"], midi["words"]) == ("stems-n-midi", "format", [])
    assert midi["predictions"]["everything"] == {"category": "stems-n-midi", "probability": 1.0}
    assert midi["predictions"]["name"]["category"] == "drum"


def test_without_evidence_in_name_and_folder_the_mates_explain(explain, crate):
    (sound,) = explain(crate / "mixed bag" / "AB7.wav")
    assert (sound["category"], sound["evidence"]) == ("effects", "mates")
    assert sound["name_read"] == "AB7.wav"
    assert sound["predictions"]["name"]["category"] != "effects"
    assert sound["predictions"]["name_and_mates"]["category"] == "effects"
    assert sound["mates"]["count"] == 40
    assert len(sound["mates"]["others"]) == 5
    assert "AB7.wav" not in sound["mates"]["others"]
    assert sound["mates"]["categories"]["effects"] >= 39


def test_explain_and_ingest_give_the_same_category(explain, crate, ingest_json, read_results):
    paths = sorted(path for path in crate.rglob("*.wav") if path.name != "letter.wav")
    ingest_json(crate)
    rows = {row["path"]: row for row in read_results()}
    for sound in explain(*paths):
        row = rows[sound["path"]]
        for column in ("category", "evidence", "needs_review", "model_version", "note", "root"):
            assert sound[column] == row[column]
        assert sound["confidence"] == pytest.approx(row["confidence"], abs=1e-4)
        assert [best["category"] for best in sound["top3"]] == [
            best["category"] for best in row["top3"]
        ]
        assert {name: row[name] for name in sound["by_products"]} == sound["by_products"]
        assert sound["header"]["duration_seconds"] == row["duration_seconds"]


def test_within_a_library_root_the_path_is_relative(explain, crate):
    settings = {"CRATESORT_LIBRARY_ROOTS": f"packs={crate}/Kicks"}
    inside, outside = explain(
        crate / "Kicks" / "01.wav", crate / "one" / "Kick 01.wav", settings=settings
    )
    assert (inside["root"], inside["path"], inside["evidence"]) == ("packs", "01.wav", "none")
    assert (outside["root"], outside["path"]) == ("", str(crate / "one" / "Kick 01.wav"))


def test_bars_are_shown_if_the_tempo_is_known(explain, crate):
    with_tempo, without = explain(
        crate / "loops" / "Acme_Bass_Loop_120bpm_F#min.wav", crate / "one" / "Kick 01.wav"
    )
    assert with_tempo["by_products"]["tempo_bpm"] == 120
    assert with_tempo["header"]["bars"] == pytest.approx(0.05 / 2, abs=1e-3)
    assert without["header"]["bars"] is None


def test_only_relevant_words_are_shown_most_important_first(explain, crate):
    (sound,) = explain(crate / "loops" / "Acme_Bass_Loop_120bpm_F#min.wav")
    changes = [abs(word["change"]) for word in sound["words"]]
    assert changes == sorted(changes, reverse=True)
    assert all(change >= 0.01 for change in changes)
    for word in sound["words"]:
        expected = word["without"] - sound["confidence"]
        assert word["change"] == pytest.approx(expected, abs=2e-4)


def test_a_word_is_what_the_model_read_as_one_token(explain, crate):
    (sound,) = explain(crate / "loops" / "Acme_Bass_Loop_120bpm_F#min.wav")
    tokens = {"acme": "Acme", "bass": "Bass", "loop": "Loop", "<bpm>": "120bpm", "<minor>": "F#min"}
    assert {word["token"]: word["word"] for word in sound["words"]}.items() <= tokens.items()


def test_a_counting_number_stays_one_when_its_word_is_removed():
    mates = pack_mates_of([f"XK SNARE{number}.wav" for number in range(85, 100)])
    assert [cut.word for cut in words_cut("XK SNARE87.wav", mates)] == ["XK", "SNARE", "87"]
    for cut in words_cut("XK SNARE87.wav", mates)[:2]:
        assert tokenise(cut.name, cut.pack_mates.counting(cut.name))[-1] == "<index>"
        assert tokenise(cut.name)[-1] == "<tempo>"


def test_an_unreadable_file_shows_its_code_and_the_others_their_categories(explain, crate):
    letter, kick = explain(crate / "letter.wav", crate / "one" / "Kick 01.wav", code=1)
    assert (letter["category"], letter["error_code"]) == (None, "not_audio")
    assert letter["error_message"]
    assert (kick["category"], kick["error_code"]) == ("drum", None)


def test_the_text_has_the_same_content(run_at_home, crate):
    done = run_at_home("explain", crate / "Kicks" / "01.wav", crate / "letter.wav")
    assert done.code == 1
    for text in ("drum", "Decided by  folder", "kicks <index>", "PCM_16", "3 names from the folder",
                 "read before the name: Kicks", "from a folder name", "With folder",
                 "Kicks 02.wav", "instrument kick (folder)", "not_audio"):  # fmt: skip
        assert text in done.stdout


def test_the_text_names_the_known_word_that_decided(run_at_home, crate):
    done = run_at_home("explain", crate / "one" / "Kick 01.wav", crate / "Kicks" / "01.wav")
    assert "Decided by  name: in the name, 'kick' is known for drum\n" in done.stdout
    assert "Decided by  folder: with the folder names, 'kicks' is known for drum\n" in done.stdout


def test_no_line_is_wider_than_80_columns(run_at_home, crate):
    from rich.cells import cell_len

    settings = {"COLUMNS": str(WIDTH)}
    done = run_at_home("explain", *sorted(crate.rglob("*.wav")), settings=settings)
    assert done.code == 1
    assert max(map(cell_len, done.stdout.split("\n"))) <= WIDTH
    assert "\x1b" not in done.stdout


def test_in_a_pipe_nothing_is_cut(run_at_home, crate):
    (path,) = crate.rglob("Acme very long*.wav")
    lines = run_at_home("explain", path).stdout.splitlines()
    assert lines[0] == str(path)
    assert f"  Read as     {path.name}" in lines


def test_control_characters_of_a_name_are_escaped(run_at_home, tmp_path):
    put(tmp_path / "evil", "Kick\x1b[2J\n.wav", "Snare\x1b[2J.wav")
    done = run_at_home("explain", tmp_path / "evil" / "Kick\x1b[2J\n.wav")
    assert done.code == 0, done.stderr
    assert "\x1b" not in done.stdout


def test_a_name_that_is_not_utf_8_is_explained(explain, tmp_path):
    put(tmp_path / "old", "x.wav")
    path = os.fsencode(tmp_path / "old") + b"/Kick \xe9.wav"
    os.rename(tmp_path / "old" / "x.wav", path)
    (sound,) = explain(path)
    assert sound["category"] in CATEGORIES
    assert sound["path"].endswith("Kick \\xe9.wav")


@pytest.mark.parametrize(
    ("name", "message"),
    [("Kicks", "is a folder; expected files"), ("nothing.wav", "no such file")],
)
def test_a_folder_or_a_missing_file_is_wrong_usage(run_at_home, crate, name, message):
    done = run_at_home("explain", crate / "one" / "Kick 01.wav", crate / name)
    assert done.code == 2
    assert done.stdout == ""
    assert message in done.stderr.splitlines()[-1]


def test_explain_writes_nothing(run_cli, read_results, crate):
    assert run_cli("explain", crate / "one" / "Kick 01.wav").code == 0
    assert parsed(run_cli("results", "--format", "json").stdout) == []

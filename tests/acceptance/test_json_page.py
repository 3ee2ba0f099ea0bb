"""docs/reference/json.md: its keys and types are those that the commands print."""

import click
import pytest

from classifier.bundle.starter import starter_version
from cli.commands import cratesort
from tests.support.command_line import parsed
from tests.support.json_page import examples_of, keys_of, sections, used_keys
from tests.support.riff_chunks import acid, riff, wav

#: All keys of these are compared elsewhere: those of `cratesort status` by
#: tests/unit/cli/test_snapshot.py, those that only training prints by test_train_cli.py.
COMPARED_ELSEWHERE = {"cratesort status", "cratesort train", "cratesort models show"}

#: Its page is docs/reference/study-files.md.
STUDY = "cratesort study"


@pytest.fixture(scope="module")
def outputs(run_at_home, home, library, redis_server):
    """Objects that each command prints."""
    settings = {
        "CRATESORT_DATABASE_URL": f"sqlite:///{home}/cratesort.db",
        "CRATESORT_LIBRARY_ROOTS": f"packs={library},broken={home}/broken",
    }
    sounds = sorted(map(str, library.rglob("*.wav")))
    labels, wrong, manifest = home / "labels.csv", home / "wrong.csv", home / "manifest.txt"
    labels.write_text(f'path,category\n"{sounds[0]}",drum\n"{sounds[1]}",bass\n')
    wrong.write_text(f'path,category\n"{sounds[0]}",no such\n')
    manifest.write_text(f"{sounds[0]}\n{'x' * 5000}\n")
    empty, loop = home / "broken" / "empty.wav", home / "broken" / "loop.wav"
    empty.parent.mkdir()
    empty.touch()
    format_chunk, data = wav()
    loop.write_bytes(riff(format_chunk, acid(4, beats=8, tempo_bpm=126.5), data))

    def printed(*arguments, **more):
        done = run_at_home(*arguments, settings=settings | more)
        assert done.stdout, done.stderr
        return parsed(done.stdout)

    copy = f"sqlite:///{home}/copy.db"
    return {
        "cratesort ingest": [
            *printed("ingest", library, empty.parent, "--json"),
            *printed("ingest", "--manifest", manifest, "--json"),
        ],
        "cratesort retry": printed("retry", "--failed", "--json"),
        "cratesort labels import": [
            *printed("labels", "import", labels, "--json"),
            *printed("labels", "import", wrong, "--json"),
        ],
        "cratesort labels set": [
            *printed("labels", "set", sounds[0], "synth", "--json"),
            *printed("labels", "set", *sounds[:3], "bass", "--json"),
        ],
        "cratesort labels export": printed("labels", "export", "--format", "json"),
        "cratesort labels stats": printed("labels", "stats", "--json"),
        "cratesort results": printed("results", "--format", "json"),
        "cratesort explain": printed("explain", *sounds, loop, empty, "--json"),
        "cratesort status": printed("status", "--json"),
        "cratesort models list": printed("models", "list", "--json"),
        "cratesort models show": printed("models", "show", starter_version(), "--json"),
        "cratesort doctor": printed("doctor", "--json"),
        "cratesort health": [
            *printed("health", "--json"),
            *printed("health", "--inbox", "--json", CRATESORT_BROKER_URL=redis_server.url),
        ],
        "cratesort db copy": printed(
            "db", "copy", settings["CRATESORT_DATABASE_URL"], copy, "--json"
        ),
        "cratesort forget": printed("forget", sounds[0], "--json"),
    }


def commands_with_json(name, command):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            yield from commands_with_json(f"{name} {below}", command.get_command(context, below))
    elif any(
        option.name == "as_json" or (option.name == "form" and "json" in option.type.choices)
        for option in command.params
    ):
        yield name


WITH_JSON = sorted(commands_with_json("cratesort", cratesort))


def test_every_command_that_prints_json_has_a_section():
    assert sorted(sections()) == WITH_JSON


@pytest.mark.parametrize("command", sorted(set(WITH_JSON) - {STUDY, "cratesort train"}))
def test_what_a_command_prints_is_documented_and_nothing_else_is(command, outputs):
    used = set().union(*(used_keys(command, output) for output in outputs[command]))
    if command not in COMPARED_ELSEWHERE:
        assert sorted(used) == sorted(keys_of(command))


@pytest.mark.parametrize("command", sorted(set(WITH_JSON) - {STUDY}))
def test_a_section_has_an_example_that_agrees_with_its_table(command):
    examples = examples_of(command)
    assert examples
    for example in examples:
        used_keys(command, example)

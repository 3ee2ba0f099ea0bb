"""What the terminal pictures show: the commands, and the folders they are run on."""

import contextlib
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

from docs.pictures.source.terminal import REPOSITORY, draw, run, screen_lines

#: The home folder that the pictures show. The one that is used has a path of the same length, so
#: that the commands cut long paths at the same places.
SHOWN_HOME: Final = "/home/ada"

#: The host that the pictures show.
SHOWN_HOST: Final = "studio"

#: Files, and the sounds of the example library that they are copies of.
_KICKS: Final = {
    "Kicks/01.wav": "free stuff/kick drum 12.wav",
    "Kicks/02.wav": "Nova Vector/Growl Theory/NV_kick_one_shot_deep.wav",
    "Kicks/03.wav": "Nova Vector/Growl Theory/NV_kick_one_shot_punchy.wav",
}
_VAGUE: Final = {
    "Loops/bass loop 128 Fmin.wav": "Nova Vector/Growl Theory/NV_128_bass_loop_growl_Fmin.wav",
    "Loops/drumloop_128.wav": "Nova Vector/Growl Theory/NV_128_drum_loop_full_stomp.wav",
    "Loops/piano loop 128 Fmin.wav": "Nova Vector/Growl Theory/NV_128_piano_loop_ballroom_Fmin.wav",
    "bounce 7.wav": "Nova Vector/Growl Theory/NV_synth_one_shot_lead_laser_C.wav",
    "lead vocal take 3.wav": "Nova Vector/Growl Theory/NV_vocal_one_shot_hey.wav",
    "riser long.wav": "Nova Vector/Growl Theory/NV_fx_riser_short.wav",
    "xfer_0031.wav": "free stuff/sub bass C.wav",
}


@dataclass(frozen=True)
class Scene:
    """One picture: its file's name, what it shows in words, and the commands typed in it."""

    name: str
    description: str
    commands: tuple[str, ...]
    columns: int = 88


#: In a home with the folder ``Samples``.
SAMPLES_SCENES: Final = (
    Scene(
        "readme",
        "A terminal. cratesort ingest classifies 82 sounds and prints how many fell into each "
        "category; cratesort results lists the bass loops with the confidence of each; "
        "cratesort explain shows that a file called 01.wav is a drum because of its folder.",
        (
            "cratesort ingest ~/Samples",
            "cratesort results --category bass-loop",
            "cratesort explain ~/Samples/Kicks/01.wav",
        ),
        columns=100,
    ),
)

#: In a home with the folder ``Incoming``, one after the other.
INCOMING_SCENES: Final = (
    Scene(
        "errors",
        "A terminal. cratesort ingest of a folder with broken files counts them by error code; "
        "cratesort results --failed lists each with its reason.",
        ("cratesort ingest ~/Incoming", "cratesort results --failed"),
    ),
    Scene(
        "results",
        "A terminal. cratesort results lists each sound with its category and confidence; a "
        "question mark marks those that need a review, and three files have an error.",
        ("cratesort results",),
    ),
    Scene(
        "explain",
        "A terminal. cratesort explain shows what the category of Kicks/01.wav rests on: the "
        "words of its folder, because its own name has none.",
        ("cratesort explain ~/Incoming/Kicks/01.wav",),
    ),
    Scene(
        "labels",
        "A terminal. Two sounds need a review; cratesort labels set corrects one, which then "
        "has the source of its label in place of a confidence.",
        (
            "cratesort results --needs-review",
            "cratesort labels set ~/Incoming/'bounce 7.wav' synth",
            "cratesort results --category synth",
        ),
    ),
    Scene(
        "status",
        "A terminal. cratesort status shows the number of sounds, the state of the batches, the "
        "pace, the model and the latest ingests.",
        ("cratesort status",),
    ),
    Scene(
        "doctor",
        "A terminal. cratesort doctor checks the installation, the settings, the data folder, "
        "the database, the queue and the model.",
        ("cratesort doctor",),
    ),
)


@contextmanager
def temporary_home(shown: str = SHOWN_HOME) -> Iterator[Path]:
    """Make a home folder whose path is as long as `shown`, and delete it afterwards."""
    parent = Path("/tmp")  # noqa: S108  a folder that exists is not used, and nobody else enters it
    # Folder names count as evidence, and `bd12` is a bass drum; these letters make no word.
    letters = product("jqxz", repeat=len(shown) - len(str(parent)) - 1)
    names = list(map("".join, letters))
    secrets.SystemRandom().shuffle(names)
    for home in map(parent.joinpath, names):
        with contextlib.suppress(FileExistsError):
            home.mkdir(mode=0o700)
            break
    else:
        raise RuntimeError(f"all of {len(names)} folders such as {home} exist: delete some of them")
    try:
        yield home
    finally:
        shutil.rmtree(home)


def make_samples(library: Path, home: Path) -> None:
    """Make ``~/Samples``: the example library, and a folder whose files are only numbered."""
    shutil.copytree(library, home / "Samples")
    _copy(_KICKS, library, home / "Samples")


def make_incoming(library: Path, home: Path) -> None:
    """Make ``~/Incoming``: vague names and broken files."""
    folder = home / "Incoming"
    _copy({**_KICKS, **_VAGUE}, library, folder)
    whole = (library / "Nova Vector/Growl Theory/NV_clap_one_shot_wide.wav").read_bytes()
    (folder / "clap (cut).wav").write_bytes(whole[:30])
    (folder / "snare FINAL.wav").write_bytes(b"")
    (folder / "invoice.wav").write_text("Dear Ada, thank you for your order.\n")
    (folder / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "licence.txt").write_text("Royalty free.\n")


def _copy(names: Mapping[str, str], library: Path, folder: Path) -> None:
    for name, original in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(library / original, folder / name)


#: How each home is filled, and what is shown in it.
HOMES: Final = ((make_samples, SAMPLES_SCENES), (make_incoming, INCOMING_SCENES))


def words(command: str, home: Path) -> list[str]:
    """Return the arguments of a command as a shell would pass them to cratesort."""
    _, *arguments = shlex.split(command)
    return [str(home / word[2:]) if word.startswith("~/") else word for word in arguments]


def disguised(text: str, home: Path) -> str:
    """Replace the home folder by the one that is shown, also where a path was cut before it."""
    text = text.replace(str(home), SHOWN_HOME)
    for cut in range(1, len(SHOWN_HOME)):
        text = text.replace(f"…{str(home)[cut:]}/", f"…{SHOWN_HOME[cut:]}/")
    return text


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a user whose home folder this is."""
    # Python imports `sitecustomize` when it starts: the host gets a name that can be shown.
    host = home / ".host"
    host.mkdir(exist_ok=True)
    named = (
        f"import os, socket\nsocket.gethostname = lambda: os.environ.get('HOST', {SHOWN_HOST!r})\n"
    )
    (host / "sitecustomize.py").write_text(named)
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LOGNAME": "ada",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{host}:{REPOSITORY}",
        "TERM": "xterm-256color",
        "USER": "ada",
    }


def prompt(command: str) -> str:
    """Return the line of the terminal in which a command was typed, coloured."""
    program, _, rest = command.partition(" ")
    return f"\x1b[32m$\x1b[0m \x1b[1m{program} {rest}\x1b[0m"


def play(scene: Scene, home: Path) -> str:
    """Run the commands of a scene, and return the picture."""
    lines: list[str] = []
    for command in scene.commands:
        program = [sys.executable, "-m", "cli", *words(command, home)]
        shown = screen_lines(run(program, environment(home), home, scene.columns))
        lines += [*([""] if lines else []), prompt(command), *shown]
    return draw(
        [disguised(line, home) for line in lines], scene.columns, scene.name, scene.description
    )

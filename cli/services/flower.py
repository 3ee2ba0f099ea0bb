"""``cratesort flower``: Flower with a login, read-only, and with a lasting history.

By default Flower shows its pages without a login, lets every visitor shut workers down, and loses
its history when it ends. Flower only records the events that workers send while it runs.
"""

import importlib.util
import os
from pathlib import Path
from typing import Final

import click

from classifier.errors import CratesortError
from cli.services.celery_program import start
from cli.services.preflight import require_broker

#: How often the history is saved; a crash of Flower loses at most this much of it.
_SAVE_SECONDS: Final = 15
#: Enough for five million files in batches of 256; Flower's default is 100,000.
_MOST_TASKS: Final = 20_000


class FlowerError(CratesortError):
    """Flower is not installed, has no login, or cannot write its history."""


@click.command()
@click.option(
    "--address", default="127.0.0.1", show_default=True, help="Address of this host to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=5555,
    show_default=True,
    help="Port to listen on.",
)
@click.option(
    "--state-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for Flower's history. Default: flower.db in the data folder.",
)
@click.option(
    "--control",
    is_flag=True,
    help="Allow logged-in users to stop workers and revoke tasks. The workers must be started "
    "with worker.enable_remote_control=true. Without this option Flower is read-only.",
)
def flower(address: str, port: int, state_file: Path | None, control: bool) -> None:
    """Show workers and tasks in a browser, with Flower.

    Requires the [monitoring] extra, and CRATESORT_FLOWER_LOGIN=user:password for the login.
    """
    from workers.settings import load_settings

    if importlib.util.find_spec("flower") is None:
        raise FlowerError(
            "Flower is not installed here: pip install 'cratesort[monitoring]', or in a clone "
            "pip install '.[monitoring]'"
        )
    settings = load_settings()
    if settings.flower_login is None:
        raise FlowerError("Flower needs a login: set CRATESORT_FLOWER_LOGIN to user:password")
    require_broker("Flower")
    file = state_file or settings.data_folder / "flower.db"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        raise FlowerError(
            f"cannot write Flower's history to {file}: {error.strerror}; choose another file with "
            "--state-file"
        ) from error
    if file.stat().st_size == 0:
        file.unlink()  # created only to test that it can be written
    for name in [name for name in os.environ if name.startswith("FLOWER_")]:
        del os.environ[name]  # Flower would read another login or address from it
    from flower.inspector import Inspector

    from cli.services import flower_history

    flower_history.install()
    if not control:
        Inspector.inspect_methods = ()  # workers answer none; Flower would wait and warn
    start(
        "flower",
        f"--address={address}",
        f"--port={port}",
        # Passed inside the process, so other users of this host do not see it in a list of
        # processes.
        f"--basic-auth={settings.flower_login.get_secret_value()}",
        f"--read-only={not control}",
        "--enable-events=False",  # workers send events anyway
        "--persistent=True",
        f"--db={file}",
        f"--state-save-interval={_SAVE_SECONDS * 1000}",
        f"--max-tasks={_MOST_TASKS}",
        "--tasks-columns=name,kwargs,state,received,started,runtime,worker,result,exception",
        # By default Flower runs a flowerconfig.py of the current folder.
        f"--conf={os.devnull}",
    )

"""The entry point: the list of commands, and errors as one line each with an exit code.

Exit codes: 0 done; 1 done, but some files of this run have no category; 2 wrong usage or
configuration; 3 a service is unreachable. A bug is none of these and shows its traceback.
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from classifier.files.paths import printable
from cli.console.exit_codes import Exit, explain

#: Command name to "module:attribute"; loaded on demand, so that --help stays fast.
COMMANDS: Final = {
    "ingest": "cli.ingest.command:ingest",
    "status": "cli.status.command:status",
    "results": "cli.results:results",
    "forget": "cli.forget:forget",
    "retry": "cli.ingest.retry:retry",
    "explain": "cli.models.explain:explain",
    "predict": "cli.models.predict:predict",
    "labels": "cli.labels.command:labels",
    "train": "cli.models.train:train",
    "study": "cli.models.study:study",
    "models": "cli.models.command:models",
    "worker": "cli.services.worker_and_beat:worker",
    "beat": "cli.services.worker_and_beat:beat",
    "intake": "cli.services.intake:intake",
    "flower": "cli.services.flower:flower",
    "db": "cli.services.database:db",
    "doctor": "cli.status.doctor:doctor",
    "health": "cli.status.health:health",
    "metrics": "cli.metrics.command:metrics",
}


class LazyGroup(click.Group):
    """A group that imports a command's module on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the names in the order of `COMMANDS`: the order of a first session."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command, or None when there is none of that name."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise click.UsageError(error.message + hint, ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command until it is done, or until its reader has enough of it.

        `cratesort results | head` is no fault; click would make it exit code 1, which is taken.
        """
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_output()
            return Exit.DONE
        return answer


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cratesort", prog_name="cratesort")
def cratesort() -> None:
    """Sort the sounds of a sample library into twelve categories.

    Start with:  cratesort ingest ~/Samples
    """


def _discard_output() -> None:
    # What is buffered still goes somewhere, or Python would complain at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    """Let output that the caller has closed (``>&-``) go nowhere, and not into the next file."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    # Standard input stays None: a command that reads it says that it is closed.
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; a command may raise SystemExit with one."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what this terminal's encoding lacks: show it, never fail on it.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = cratesort.main(arguments, "cratesort", standalone_mode=False)
    except click.exceptions.Abort:
        code = Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201
        code = Exit.INTERRUPTED
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()  # where the disk is full, it could not be written at exit either
        message, code = explained
        safe = "\n".join(map(printable, message.splitlines()))
        print(f"cratesort: {safe}", file=sys.stderr)  # noqa: T201
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())

"""The list of commands."""

import difflib
import importlib
import sys
from typing import Any, Final

import click

from cli.console.exit_codes import Exit
from cli.console.output import discard_output

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
        """Return the names in the order of `COMMANDS`; click would sort them."""
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
        """Find the command; the error for an unknown name suggests a similar one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise click.UsageError(error.message + hint, ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; if standard output is a closed pipe, end with exit code 0.

        `cratesort results | head` is not an error. click would exit with 1: `Exit.SOME_FAILED`.
        """
        try:
            answer = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()
            return Exit.DONE
        return answer


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cratesort", prog_name="cratesort")
def cratesort() -> None:
    """Sort the sounds of a sample library into twelve categories.

    Start with:  cratesort ingest ~/Samples

    \b
    Exit codes:
      0    done
      1    done, but some files of this run have no category
      2    wrong usage or configuration
      3    a service or the storage is unreachable or read-only
      70   a bug in cratesort
      130  stopped by Ctrl-C
    """  # noqa: D301  (click keeps the lines of a paragraph after \b)

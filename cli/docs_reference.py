"""Print ``docs/reference/cli.md``, the reference of all commands: ``python -m cli.docs_reference``.

It contains the output of ``--help``; a test compares the two.
"""

import sys
from collections.abc import Iterator
from typing import Final

import click

from cli.commands import cratesort

#: Columns of the help texts, independent of the current terminal.
_WIDTH: Final = 80

_HEAD: Final = """\
# Command line

What `--help` says, for reading. Made by `make docs` from the commands themselves.
"""


def reference() -> str:
    """Return the reference as Markdown."""
    return "\n".join([_HEAD, *_sections(cratesort, "cratesort", None)])


def _sections(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        **command.context_settings,
    )
    yield f"{'##' if parent is None or parent.parent is None else '###'} {context.command_path}\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            subcommand = command.get_command(context, below)
            if subcommand is not None and not subcommand.hidden:
                yield from _sections(subcommand, below, context)


if __name__ == "__main__":
    sys.stdout.write(reference())

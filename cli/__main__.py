"""The entry point: handle Ctrl-C, and print each error as one line with an exit code.

Most imports are inside `main`, so that Ctrl-C during an import ends with `Exit.INTERRUPTED`, too.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.console import interrupts
from cli.console.exit_codes import Exit

if TYPE_CHECKING:
    import click


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; a command may raise SystemExit with one."""
    interrupts.end_the_process()
    try:
        _open_what_is_closed()
        for stream in (sys.stdout, sys.stderr):
            # Escape characters of file names that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        from cli.commands import cratesort

        interrupts.raise_keyboard_interrupt()
        return _run(cratesort, arguments)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        interrupts.end_the_process()


def _run(command: "click.Command", arguments: Sequence[str] | None) -> int:
    import click

    try:
        return int(command.main(arguments, "cratesort", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        return Exit.INTERRUPTED
    except click.ClickException as error:
        return _show_usage(error)
    except Exception as error:
        if interrupts.has_come():
            return Exit.INTERRUPTED  # a library replaced KeyboardInterrupt
        return _explained(error)


def _show_usage(error: "click.ClickException") -> Exit:
    """Print what was wrong with the options or arguments; return the exit code."""
    from cli.console.output import tell

    text = io.StringIO()
    error.show(text)
    tell(text.getvalue().rstrip("\n"))
    return Exit.USAGE  # click uses 1 for some errors


def _explained(error: Exception) -> Exit:
    """Print what went wrong, with a traceback only for a bug; return the exit code."""
    from classifier.files.paths import printable
    from cli.console.exit_codes import explain
    from cli.console.output import discard_output, tell

    explained = explain(error)
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()  # on a full disk Python's flush at exit would fail, too
    if explained is None:
        traceback.print_exception(error)
        tell("cratesort: this is a bug in cratesort; please report it with the lines above")
        return Exit.CRASHED
    safe = "\n".join(map(printable, explained.text.splitlines()))
    tell(f"cratesort: {safe}")
    return explained.exit_code


def _open_what_is_closed() -> None:
    """Open /dev/null for each standard stream that the caller closed (``>&-``).

    Otherwise the next file that is opened gets the stream's number, and output goes into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    # Standard input stays None: a command that reads it reports that it is closed.
    sys.stdout = sys.stdout or open(1, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w")  # noqa: SIM115


if __name__ == "__main__":
    sys.exit(main())

"""The entry point: interrupts, and errors as one line each with an exit code.

Nearly all is imported within `main`: a Ctrl-C meanwhile must end the program like any other.
"""

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
            # A file name may hold what this terminal's encoding lacks: show it, never fail on it.
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
        error.show()
        return Exit.USAGE  # click's own is 1 for some of them
    except Exception as error:
        if interrupts.has_come():
            return Exit.INTERRUPTED  # a library has made another error of it
        return _explained(error)


def _explained(error: Exception) -> Exit:
    """Tell the user what went wrong, in one line unless it is a bug; return the exit code."""
    from classifier.files.paths import printable
    from cli.console.exit_codes import explain
    from cli.console.output import discard_output

    explained = explain(error)
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()  # where the disk is full, it could not be written at exit either
    if explained is None:
        traceback.print_exception(error)
        print("cratesort: this is a fault of cratesort; please report it", file=sys.stderr)  # noqa: T201
        return Exit.CRASHED
    message, code = explained
    safe = "\n".join(map(printable, message.splitlines()))
    print(f"cratesort: {safe}", file=sys.stderr)  # noqa: T201
    return code


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


if __name__ == "__main__":
    sys.exit(main())

"""``cratesort status``: show open work, its pace, and the contents of the results."""

from dataclasses import asdict

import click

from cli.console.options import json_option
from cli.console.output import output_width, print_json, print_line
from cli.console.session import opened_database


@click.command()
@json_option
@click.option("--watch", is_flag=True, help="Update the display every second until Ctrl-C.")
def status(as_json: bool, watch: bool) -> None:
    """Show progress: queued work, throughput, workers and failures.

    The numbers are counted from the database at that moment; those of the inbox come from Redis.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch cannot be combined")

    from cli.status.snapshot import read_status
    from cli.status.view import status_lines, watch_status

    with opened_database(must_exist=True) as (settings, database):
        if as_json:
            print_json(asdict(read_status(database, settings)))
        elif watch:
            watch_status(lambda: read_status(database, settings))
        else:
            for line in status_lines(read_status(database, settings), output_width()):
                print_line(line)

"""``cratesort retry``: try sounds without a category again."""

import sys

import click

from classifier.errors import ErrorCode
from cli.console.options import json_option, wait_option
from cli.ingest.execution import Run
from cli.ingest.summary import report_retry


@click.command()
@click.option("--failed", is_flag=True, help="Retry all sounds without a category. Required.")
@click.option(
    "--code",
    type=click.Choice([str(code) for code in ErrorCode]),
    metavar="C",
    help="Only sounds with this error code; `cratesort status` lists the codes.",
)
@wait_option
@json_option
def retry(failed: bool, code: str | None, wait: bool | None, as_json: bool) -> None:
    """Classify sounds without a category again, changed or not.

    Sounds whose reader crashed or timed out (crashed_reader, timed_out, internal_error) are retried
    one at a time, so that none of them affects another.

    Exit code: as for ingest; 1 if some sounds still have no category.
    """
    if not failed:
        raise click.UsageError("expected --failed, or --failed --code C for one error code")

    from tasks.producer.resubmission import submit_failed

    error_code = None if code is None else ErrorCode(code)
    with Run.begin(wait=wait) as run:
        submission, final = run.submit_and_wait(
            lambda on_progress: submit_failed(
                settings=run.settings,
                database=run.database,
                code=error_code,
                on_progress=on_progress,
            )
        )
        sys.exit(report_retry(run, submission, final, error_code, as_json))

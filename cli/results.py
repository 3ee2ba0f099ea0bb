"""``cratesort results``: the table of categories, as text, CSV, JSON or Parquet."""

import io
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import click

from classifier.categories import CATEGORIES
from cli.console.csv_cells import print_csv
from cli.console.output import (
    iso_time,
    output_width,
    print_line,
    say,
    tell,
)
from cli.console.session import opened_database
from cli.console.text_tables import labelled, shortened, table_line

if TYPE_CHECKING:
    from db.results.queries import SoundRow

#: The columns of csv, json and parquet, in their order.
COLUMNS: Final = (
    "path", "pack", "filed_as", "category", "confidence", "top3", "label", "error_code",
    "error_message",
    "model_version", "file_size", "duration_seconds", "sample_rate_hz", "channels", "frame_count",
    "sample_type", "classified_at", "root", "vendor", "note", "tempo_bpm", "tempo_source",
    "musical_key", "key_source", "playback", "playback_source", "instrument", "instrument_source",
    "evidence", "needs_review", "label_source", "labelled_by", "gone_at",
)  # fmt: skip

_VALUES: Final = attrgetter(
    *("file_size_bytes" if column == "file_size" else column for column in COLUMNS)
)

#: Widths of the table's columns CATEGORY (or an error code) and CONFIDENCE (or a label's source),
#: whose title is wider than its cells.
_OTHER_WIDTHS: Final = (18, 6)
_OTHER_TITLES: Final = "CATEGORY        CONFIDENCE"

_ROWS_AT_ONCE: Final = 10_000


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="json: one object per line. parquet: requires the [parquet] extra.",
)
@click.option(
    "--category",
    type=click.Choice(CATEGORIES),
    metavar="C",
    help="Only sounds with the label C, or without a label and with the predicted category C.",
)
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Only sounds without a label and with a confidence below P.",
)
@click.option("--failed", is_flag=True, help="Only sounds without a category, with the reason.")
@click.option("--needs-review", is_flag=True, help="Only sounds that need a review.")
@click.option("--gone", is_flag=True, help="Only sounds whose files no longer exist.")
def results(
    form: str,
    category: str | None,
    below: float | None,
    failed: bool,
    needs_review: bool,
    gone: bool,
) -> None:
    """Print the classified sounds in path order.

    A label takes precedence over the model: filed_as is a sound's label if it has one, otherwise
    the model's category. The column category is always the model's.

    With --below or --needs-review the least confident sounds come first.

    In the table a ? marks sounds that need a review: the model is not sure, and they have no label.
    A sound with a label shows the label's source (human, vendor, import, copy) instead of a
    confidence.

    In csv, cells that a spreadsheet would run as a formula start with a '.
    """
    if form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("parquet is binary; redirect it to a file: > results.parquet")
    if failed and needs_review:
        raise click.UsageError("--failed and --needs-review cannot be combined")
    if gone and needs_review:
        raise click.UsageError("--gone and --needs-review cannot be combined")

    from db.engine import reading
    from db.results.queries import results as read_results

    with opened_database(must_exist=True) as (_, database), reading(database) as connection:
        rows = read_results(
            connection,
            category=category,
            below=below,
            failed=failed,
            unsure=needs_review,
            gone=gone,
        )
        if form == "table":
            _print_table(rows, with_hint=not needs_review)
        elif form == "csv":
            print_csv(COLUMNS, map(_flat, map(_record, rows)))
        elif form == "json":
            for row in rows:
                print_line(json.dumps(_record(row), ensure_ascii=False))
        else:
            _write_parquet(rows, sys.stdout.buffer)


def _record(row: "SoundRow") -> dict[str, Any]:
    record = dict(zip(COLUMNS, _VALUES(row), strict=True))
    record["confidence"] = _rounded(row.confidence)
    record["top3"] = [
        {"category": category, "probability": _rounded(probability)}
        for category, probability in row.top3
    ]
    record["classified_at"] = iso_time(row.classified_at)
    record["gone_at"] = None if row.gone_at is None else iso_time(row.gone_at)
    return record


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _shown(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.2f}"


def flat_top3(top3: Iterable[dict[str, Any]]) -> str:
    """Return the three best categories as one cell: ``drum:0.91 effects:0.05 bass:0.01``."""
    return " ".join(f"{best['category']}:{best['probability']}" for best in top3)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"top3": flat_top3(record["top3"])}


def _print_table(rows: Iterator["SoundRow"], *, with_hint: bool) -> None:
    width = output_width()
    widths = (max(20, (width or 80) - sum(_OTHER_WIDTHS) - 4), *_OTHER_WIDTHS)
    to_review = 0
    first = next(rows, None)
    if first is None:
        tell("no matching sounds; `cratesort status` shows the counts")
        return
    print_line(table_line(("PATH", _OTHER_TITLES), (widths[0], len(_OTHER_TITLES)), "<<"))
    for row in chain((first,), rows):
        path = shortened(row.path, width and widths[0])
        if row.error_code is not None:
            print_line(table_line((path, row.error_code, ""), widths, "<<<"))
            say(labelled("", row.error_message or "", 4))
            if row.filed_as is not None:
                say(labelled("", f"category {row.filed_as}: {_origin(row)}", 4))
        else:
            confidence = f"{_shown(row.confidence)}{'?' if row.needs_review else ''}"
            cells = (path, row.filed_as, row.label_source or confidence)
            print_line(table_line(cells, widths, "<<<"))
            to_review += row.needs_review
            if row.label is not None:
                say(labelled("", _origin(row), 4))
        if row.note:
            say(labelled("", f"note: {row.note}", 4))
    if to_review and with_hint:
        need = "sound needs" if to_review == 1 else "sounds need"
        tell(f"{to_review:,} {need} a review (?): cratesort results --needs-review")


def _origin(row: "SoundRow") -> str:
    """Return who labelled a sound, if it has a label, and what the model predicted."""
    model = "" if row.category is None else f"model: {row.category} {_shown(row.confidence)}"
    if row.label is None:
        return model
    return f"label by {row.labelled_by} ({row.label_source}){model and f'; {model}'}"


class _CountedOutput(io.RawIOBase):
    """An output stream that counts its position: Arrow needs one, and a pipe has none."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._position += len(data)
        return self._stream.write(data)

    def tell(self) -> int:
        return self._position


def _write_parquet(rows: Iterator["SoundRow"], stream: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.float64()
    best = pa.list_(pa.struct([("category", text), ("probability", number)]))
    types: dict[str, Any] = dict.fromkeys(COLUMNS, text) | {
        "confidence": number,
        "top3": best,
        "file_size": pa.int64(),
        "duration_seconds": number,
        "sample_rate_hz": pa.int32(),
        "channels": pa.int32(),
        "frame_count": pa.int64(),
        "tempo_bpm": number,
        "needs_review": pa.bool_(),
    }
    schema = pa.schema(list(types.items()))
    with pq.ParquetWriter(pa.PythonFile(_CountedOutput(stream), mode="w"), schema) as writer:
        while chunk := [_record(row) for row in islice(rows, _ROWS_AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema))

"""Write a study to disk: an HTML page, its figures, and all numbers as JSON."""

import json
import os
from typing import Final

from training.data.dataset import LabelledSounds
from training.evaluation.confident_errors import N_MOST_CONFIDENT
from training.evaluation.experiment import SystemResult
from training.reports import figures
from training.reports.atomic_write import write_whole
from training.reports.figures import Drawing
from training.reports.html import render
from training.study.comparison import Study
from training.study.table_profile import stated_numbers

#: Published accuracy and macro F1 on validation rows (32,929 private rows), in the order of the
#: systems, without ours.
PUBLISHED: Final = ((0.88, 0.74), (0.94, 0.91), (0.95, 0.92), (0.96, 0.93))

_COLUMN_TITLES: Final = {
    "file_size_bytes": "file size, bytes",
    "duration_seconds": "duration, seconds",
    "sample_rate_hz": "sample rate, Hz",
    "channels": "channels",
    "frame_count": "frames",
}


def write_report(
    folder: str, study: Study, sounds: LabelledSounds, *, source: str, created: str
) -> list[str]:
    """Write ``report.html``, ``metrics.json`` and the figures; return their names, the page last.

    Each file is written atomically. The page is written last, so a new page means that all files
    are new. `source` is the table's name on the page, `created` the date. Raises `ReportError` if a
    file cannot be written, for example to a full disk.
    """
    drawings = draw_study(study, sounds)
    page = render(
        "study.html.j2",
        study=study,
        drawings=drawings,
        source=source,
        created=created,
        published=PUBLISHED,
        column_titles=_COLUMN_TITLES,
        n_most_confident=N_MOST_CONFIDENT,
    )
    files: dict[str, bytes] = {
        **{f"{name}.png": drawing.png for name, drawing in drawings.items()},
        "metrics.json": (json.dumps(study.as_dict(), indent=1) + "\n").encode("ascii"),
        "report.html": page.encode(),
    }
    for name, content in files.items():
        write_whole(os.path.join(folder, name), content)
    return list(files)


def draw_study(study: Study, sounds: LabelledSounds) -> dict[str, Drawing]:
    """Return a study's figures by name."""
    analysis = study.analysis
    drawings = {
        "rows": figures.bars(
            [
                ("rows", analysis.rows),
                ("with a category", analysis.labelled),
                ("with a unique name", analysis.sounds),
            ]
        ),
        "categories": figures.bars([(row.category, row.sounds) for row in analysis.categories]),
        "sample-types": figures.bars(list(analysis.sample_types.items())),
        "headers": figures.histograms(
            {_COLUMN_TITLES[name]: values for name, values in stated_numbers(sounds).items()}
        ),
        "vendors": figures.bars([(row.vendor, row.sounds) for row in analysis.vendors]),
    }
    if study.by_vendor:
        drawings |= _draw_split("by-vendor", study.by_vendor)
    if study.lstm_epochs:
        drawings["lstm-epochs"] = figures.learning_curves(
            {
                measure: {
                    "training": [getattr(epoch, measure) for epoch in study.lstm_epochs],
                    "validation": [
                        getattr(epoch, f"validation_{measure}") for epoch in study.lstm_epochs
                    ],
                }
                for measure in ("loss", "accuracy")
            }
        )
    return drawings | _draw_split("random", study.at_random)


def _draw_split(prefix: str, results: tuple[SystemResult, ...]) -> dict[str, Drawing]:
    systems = [(result.system.title, result.evaluation) for result in results]
    return {
        f"{prefix}-systems": figures.comparison(systems),
        f"{prefix}-reliability": figures.reliability(systems),
        **{
            f"{prefix}-confusion-{result.system.name}": figures.confusion(result.evaluation)
            for result in results
        },
    }

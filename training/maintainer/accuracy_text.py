"""Format a measurement by vendor as text for a terminal of 80 columns."""

from typing import Final

from classifier.files.paths import printable
from training.evaluation.confident_errors import N_MOST_CONFIDENT, ErrorKind
from training.maintainer.corpus_pair import CAP
from training.maintainer.measurement import Measurement, Table, TableResult

_WIDTH: Final = 80

_TITLES: Final = {
    Table.CORPUS: "Names and headers, unseen vendors",
    Table.NAMES: "Names only, unseen vendors",
}
_CAPPED: Final = f", at most {CAP} per vendor and category"


def as_text(measured: Measurement, *, with_mistakes: bool) -> str:
    """Return the text; `with_mistakes` adds the most confident mistakes of the last system."""
    lines: list[str] = []
    for table, result in measured.by_vendor.items():
        capped = _CAPPED if table is Table.NAMES else ""
        lines += [
            _TITLES[table],
            f"  {_sounds(result)}, {result.systems[-1].n_fits} folds{capped}",
            "",
        ]
        lines += [*_systems(result), "", *_categories(result), ""]
    if measured.at_random:
        lines += ["Names and headers, known vendors", "  a random third: "]
        lines[-1] += _sounds(measured.at_random)
        lines += ["", *_systems(measured.at_random), ""]
    if with_mistakes:
        for table, result in measured.by_vendor.items():
            lines += [*_mistakes(table, result), ""]
    return "\n".join(lines[:-1])


def _sounds(result: TableResult) -> str:
    return f"{result.systems[-1].evaluation.n_sounds:,} sounds of {result.n_vendors} vendors"


def _systems(result: TableResult) -> list[str]:
    lines = [
        f"  {'':<18}{'accuracy':>9}{'macro F1':>10}{'top 3':>8}{'filed at 95 %':>15}{'seconds':>9}"
    ]
    for of_system in result.systems:
        evaluation = of_system.evaluation
        lines.append(
            f"  {of_system.system.title:<18}{evaluation.accuracy:>9.3f}{evaluation.macro_f1:>10.3f}"
            f"{evaluation.top3_accuracy:>8.3f}{evaluation.coverage_at_95_precision:>15.3f}"
            f"{of_system.fit_seconds + of_system.predict_seconds:>9.0f}"
        )
    return lines


def _categories(result: TableResult) -> list[str]:
    last = result.systems[-1]
    lines = [f"  {last.system.title:<18}{'precision':>9}{'recall':>10}{'F1':>8}{'sounds':>15}"]
    lines += [
        f"  {score.category:<18}{score.precision:>9.3f}{score.recall:>10.3f}{score.f1:>8.3f}"
        f"{score.support:>15,}"
        for score in last.evaluation.categories
    ]
    return lines


def _mistakes(table: Table, result: TableResult) -> list[str]:
    name = result.systems[-1].system.title
    title = f"The {N_MOST_CONFIDENT} most confident errors of {name}, {_TITLES[table].lower()}"
    if not result.mistakes:
        return [title, "  none"]
    return [title, *(line for kind in result.mistakes for line in _kind(kind))]


def _kind(kind: ErrorKind) -> list[str]:
    lines = [f"  {kind.truth} -> {kind.answer}: {kind.among_surest} (all errors: {kind.in_all:,})"]
    lines += [
        f"    {example.confidence:.2f}  {printable(example.name)}" for example in kind.examples
    ]
    return [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..." for line in lines]

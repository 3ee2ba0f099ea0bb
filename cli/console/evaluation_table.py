"""Figures of an evaluation on a terminal of 80 columns.

They are taken as `training.evaluation.metrics.Evaluation.as_dict` gives them, which is how a model
carries its own.
"""

from collections.abc import Mapping
from typing import Any

from classifier.categories import CATEGORIES
from cli.console.output import say


def print_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Print the figures of an evaluation, and of each category."""
    say(
        f"  accuracy {evaluation['accuracy']:.3f}   macro precision "
        f"{evaluation['macro_precision']:.3f}   macro F1 {evaluation['macro_f1']:.3f}   "
        f"({evaluation['n_sounds']:,} sounds)"
    )
    say(f"  {'':<20}{'precision':>10}{'recall':>10}{'F1':>10}{'sounds':>10}")
    for score in evaluation["categories"]:
        say(
            f"  {score['category']:<20}{score['precision']:>10.3f}{score['recall']:>10.3f}"
            f"{score['f1']:>10.3f}{score['support']:>10,}"
        )


def print_confusion(evaluation: Mapping[str, Any]) -> None:
    """Print what was taken for what."""
    letters = "abcdefghijkl"
    say("  Confusion: a row is the truth, a column what was said")
    say(f"{'':<20}" + "".join(f"{letter:>5}" for letter in letters))
    for letter, category, row in zip(letters, CATEGORIES, evaluation["confusion"], strict=True):
        say(f"{letter} {category:<18}" + "".join(_cell(count) for count in row))


def _cell(count: Any) -> str:
    # Five columns a cell keep the matrix within 80; no count here has more digits.
    return f"{count:>5}" if count else f"{'.':>5}"

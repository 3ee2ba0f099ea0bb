"""Print a model's manifest as text; ``--json`` prints the whole manifest."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cli.console.output import counted, say
from cli.console.text_tables import labelled, print_table
from cli.models.train import print_evaluation

if TYPE_CHECKING:
    from classifier.bundle.manifest import Manifest
    from db.registry.training_runs import TrainingRun

_INDENT: Final = 11
_SHOWN_VENDORS: Final = 40

#: The measurements in a manifest and their titles.
_MEASURED: Final = {
    "by_vendor": "Unseen vendors: each sound is predicted by a model not trained on its vendor",
    "champion": "The model in use at the time, on sounds of vendors that it was not trained on",
    "challenger": "This model, or models like it, on the same sounds",
    "random_split": "Known vendors (random split)",
}


def print_manifest(manifest: "Manifest", origin: str, run: "TrainingRun | None") -> None:
    """Print what a model was trained on and how good it is; `origin` is where it is stored."""
    training, metrics = manifest.training, manifest.metrics
    _say("Model", f"{manifest.version}, {origin}")
    if run is not None:
        _say("Run", f"number {run.id}, {run.verdict}: {run.reason}")
    _say("Trained on", _training_data(training))
    _say("Review", f"below a confidence of {manifest.review_below:.1%}")
    if training.get("by_evidence"):
        say()
        _print_by_evidence(training["by_evidence"])
    for name, title in _MEASURED.items():
        if metrics.get(name):
            say()
            say(title)
            print_evaluation(metrics[name])
    say()
    counts = training.get("sounds_per_category", {})
    _say("Sounds", ", ".join(f"{category} {count:,}" for category, count in counts.items()))
    vendors = [str(vendor) for vendor in training.get("vendors", ())]
    more = [f"and {len(vendors) - _SHOWN_VENDORS:,} more"] if len(vendors) > _SHOWN_VENDORS else []
    _say("Vendors", ", ".join(vendors[:_SHOWN_VENDORS] + more))
    _say("Libraries", ", ".join(f"{name} {text}" for name, text in manifest.libraries.items()))


def _print_by_evidence(kinds: Sequence[Mapping[str, Any]]) -> None:
    """Print the accuracy on held-out vendors, by kind of evidence."""
    say("Unseen vendors, by evidence")
    print_table(
        [
            (
                kind["evidence"],
                kind["n_sounds"],
                kind["confidence"],
                kind["accuracy"],
                kind["n_unreviewed"],
                kind["unreviewed_accuracy"],
            )
            for kind in kinds
        ],
        "<>>>>>",
        ("", "sounds", "confidence", "accuracy", "unreviewed", "accuracy"),
    )


def _training_data(training: Mapping[str, Any]) -> str:
    sounds = counted(training.get("sounds", 0), "sound")
    parts = [
        f"{sounds} of {counted(len(training.get('vendors', ())), 'vendor')}",
        counted(training.get("words", 0), "word"),
        f"seed {training.get('seed', 'unknown')}",
    ]
    return ", ".join(parts)


def _say(title: str, text: str) -> None:
    if text:
        say(labelled(title, text, _INDENT))

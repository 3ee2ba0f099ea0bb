"""HTML reports: each is one self-contained file that loads no other resources.

Names of vendors are untrusted text. The template engine escapes everything, and the page also
forbids scripts and network requests.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from training.evaluation.metrics import Evaluation
from training.reports import figures
from training.reports.figures import Drawing

#: Longest text on a page. Reasons for a verdict are shorter; a vendor's name may be longer.
_LONGEST_TEXT: Final = 500


def render(template: str, **content: Any) -> str:
    """Render a template from ``training/reports/templates``; an undefined variable is an error.

    Every text in `content` is untrusted: it is escaped, and cut if it is long.
    """
    environment = Environment(
        loader=PackageLoader("training.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "inline": _inline,
        "count": lambda number: f"{number:,}",
        "share": lambda value: f"{value:.3f}",
        "percent": lambda value: f"{100 * value:.0f}\N{NO-BREAK SPACE}%",
        "number": _number,
    }
    return environment.get_template(template).render(**content)


def _finalize(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return figures.shorten(value, _LONGEST_TEXT) if is_text else value


def _inline(drawing: Drawing) -> Markup:
    # The SVG is our own, and matplotlib has escaped its texts.
    return Markup(drawing.svg)  # noqa: S704


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.3g}"


def render_training_report(
    *,
    challenger: Evaluation | None,
    champion: Evaluation | None,
    champion_version: str,
    sizes: Mapping[str, Any],
    is_out_of_fold: bool,
    by_evidence: Sequence[Mapping[str, Any]],
    **run: str,
) -> str:
    """Return the page of a retraining run.

    Both evaluations are on the same sounds; they are None if there were too few. `is_out_of_fold`
    means that the sounds are not held out: the challenger's predictions come from similar models
    that had not learned them. Mappings in `sizes` become tables by category. `by_evidence` has the
    fields of `training.fit.reliability.KindReliability`. `run` has the run's `version`, `verdict`,
    `reason` and date (`created`).
    """
    models: list[tuple[str, Evaluation]] = []
    if challenger is not None and champion is not None:
        models = [
            (f"champion {champion_version}", champion),
            (f"challenger {run['version']}", challenger),
        ]
    return _training_page(
        models,
        sizes,
        compared=bool(models),
        title="Champion and challenger on the same sounds",
        explanation=(
            "The sounds are from your library, and the champion was not trained on them. The "
            "challenger's predictions come from similar models that were trained on the other "
            "folders or names. The figures estimate the accuracy on further sounds of this "
            "library, not on sounds of other vendors."
            if is_out_of_fold
            else "The sounds are held out: neither model was trained on them."
        ),
        nothing="There were too few sounds that neither model was trained on.",
        by_evidence=by_evidence,
        **run,
    )


def render_table_report(
    *,
    by_vendor: Evaluation | None,
    random_split: Evaluation,
    champion: Evaluation | None = None,
    sizes: Mapping[str, Any],
    by_evidence: Sequence[Mapping[str, Any]],
    **run: str,
) -> str:
    """Return the page of a training run from a table; see `render_training_report`.

    `champion` is the evaluation of the model in use, on tested sounds of vendors new to it.
    """
    models = [("known vendors (random split)", random_split)]
    if champion is not None:
        models.append(("the champion (vendors it was not trained on)", champion))
    if by_vendor is not None:
        # Last, because figures highlight the last system.
        models.append(("unseen vendors", by_vendor))
    return _training_page(
        models,
        sizes,
        compared=False,
        title="Measured on sounds that the tested models were not trained on",
        explanation="The stored model is trained on all rows.",
        nothing="",
        verdict="stored",
        by_evidence=by_evidence,
        **run,
    )


def _training_page(
    models: Sequence[tuple[str, Evaluation]],
    sizes: Mapping[str, Any],
    *,
    compared: bool,
    by_evidence: Sequence[Mapping[str, Any]],
    **content: str,
) -> str:
    """Render evaluations of models; `compared` means two models on the same sounds."""
    return render(
        "training.html.j2",
        counts={name: value for name, value in sizes.items() if not isinstance(value, Mapping)},
        tables={name: value for name, value in sizes.items() if isinstance(value, Mapping)},
        models=models,
        compared=compared,
        by_evidence=by_evidence,
        scores=[{score.category: score for score in model.categories} for _, model in models],
        comparison=figures.comparison(models) if models else None,
        reliability=figures.reliability(models) if models else None,
        confusions=[figures.confusion(evaluation) for _, evaluation in models],
        **content,
    )

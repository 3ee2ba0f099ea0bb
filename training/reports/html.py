"""Pages for people: one HTML file each, with everything in it and nothing fetched.

Names of vendors are strangers' text: the template engine escapes all it is given, and the page
forbids scripts and fetches besides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from classifier.files.paths import printable
from training.evaluation.metrics import Evaluation
from training.reports import figures
from training.reports.figures import Drawing


def render(template: str, **content: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        A file of ``training/reports/templates``.
    **content
        What it names; a name it lacks is an error, not a blank.

    Returns
    -------
    str
        Valid Unicode, whatever bytes a name was made of.
    """
    environment = Environment(
        loader=PackageLoader("training.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "printable": printable,
        "inline": _inline,
        "count": lambda number: f"{number:,}",
        "share": lambda value: f"{value:.3f}",
        "percent": lambda value: f"{100 * value:.0f} %",
        "number": _number,
    }
    page = environment.get_template(template).render(**content)
    return page.encode("utf-8", "backslashreplace").decode()


def _inline(drawing: Drawing) -> Markup:
    # Our own drawing, in which matplotlib has escaped what is text.
    return Markup(drawing.svg)  # noqa: S704


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.3g}"


def render_training_report(
    *,
    version: str,
    verdict: str,
    reason: str,
    challenger: Evaluation | None,
    champion: Evaluation | None,
    champion_version: str,
    sizes: Mapping[str, Any],
    created: str,
) -> str:
    """Return the page of a retraining run.

    Parameters
    ----------
    verdict : str
        ``promoted`` or ``kept``.
    challenger, champion : Evaluation or None
        On the same sounds; None where there were too few.
    sizes : mapping
        Counts of sounds by name; mappings among them are tables by category.
    created : str
        When, for a person.
    """
    models: list[tuple[str, Evaluation]] = []
    if challenger is not None and champion is not None:
        models = [(f"champion {champion_version}", champion), (f"challenger {version}", challenger)]
    return _training_page(
        models,
        compared=bool(models),
        title="Champion and challenger on the same held-out sounds",
        explanation="Neither model learned any of them.",
        nothing="There was nothing to compare on that neither model may have learned.",
        version=version,
        verdict=verdict,
        reason=reason,
        sizes=sizes,
        created=created,
    )


def render_table_report(
    *,
    version: str,
    reason: str,
    by_vendor: Evaluation | None,
    random_split: Evaluation,
    sizes: Mapping[str, Any],
    created: str,
) -> str:
    """Return the page of a training run from a table.

    Parameters
    ----------
    by_vendor : Evaluation or None
        None with one vendor.
    sizes : mapping
        As for `render_training_report`.
    """
    models = [("vendors already known (random split)", random_split)]
    if by_vendor is not None:
        # Last, where the figures draw what counts.
        models.append(("vendors never seen", by_vendor))
    return _training_page(
        models,
        compared=False,
        title="Measured by models that had not seen what they were tested on",
        explanation="The stored model itself is fitted on all rows.",
        nothing="",
        version=version,
        verdict="stored",
        reason=reason,
        sizes=sizes,
        created=created,
    )


def _training_page(
    models: Sequence[tuple[str, Evaluation]],
    *,
    compared: bool,
    sizes: Mapping[str, Any],
    **content: str,
) -> str:
    """Render evaluations of models; with `compared`, of two on the same sounds."""
    return render(
        "training.html.j2",
        counts={name: value for name, value in sizes.items() if not isinstance(value, Mapping)},
        tables={name: value for name, value in sizes.items() if isinstance(value, Mapping)},
        models=models,
        compared=compared,
        scores=[{score.category: score for score in model.categories} for _, model in models],
        comparison=figures.comparison(models) if models else None,
        reliability=figures.reliability(models) if models else None,
        confusions=[figures.confusion(evaluation) for _, evaluation in models],
        **content,
    )

"""The result of a training run."""

from dataclasses import dataclass
from typing import Any

from db.states import RunVerdict


@dataclass(frozen=True)
class RunResult:
    """The result of a run, which is stored in one transaction.

    `version` and `bundle` belong to the new model; `bundle` is None if there is no new model.
    `sizes` has counts of sounds (labelled, held out, by category, ...) and `metrics` the
    evaluations, both as JSON values. `reason` explains the verdict in one line. `last_label_id` is
    the newest entry of the label history that was read.
    """

    version: str
    bundle: bytes | None
    sizes: dict[str, Any]
    metrics: dict[str, Any]
    verdict: RunVerdict
    reason: str
    report_html: str | None
    last_label_id: int

    def __post_init__(self) -> None:
        if self.promote and self.bundle is None:
            raise ValueError("there is no bundle to promote")

    @property
    def promote(self) -> bool:
        """Whether `bundle` should become the model in use."""
        return self.verdict == RunVerdict.PROMOTED

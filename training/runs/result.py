"""The result of a training run."""

from dataclasses import dataclass
from typing import Any

from db.tables import RunVerdict


@dataclass(frozen=True)
class RunResult:
    """What a run computed, to be stored as a whole.

    Attributes
    ----------
    version : str
        Of `bundle`.
    bundle : bytes or None
        Published; None when there is no new model.
    sizes : dict
        Counts of sounds: labelled, held out, by category, ... JSON values only.
    metrics : dict
        Of champion and challenger; JSON values only.
    reason : str
        Of the verdict, one line for the user.
    last_label_id : int
        The newest entry of the labels' history that was read.
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
        """Whether `bundle` is to serve."""
        return self.verdict == RunVerdict.PROMOTED

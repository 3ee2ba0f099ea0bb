"""Three systems on two tables: the published stack, a list of keywords, and ours.

Each table is tested by vendor, with all that may be learned from both. Beside that, a third of the
first table drawn at random, of vendors already known, learned from that table alone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.bundle.manifest import installed_libraries
from classifier.categories import N_CATEGORIES
from training.baselines import published_method
from training.baselines.keywords import load_keywords
from training.baselines.published_method import FittedSystem
from training.data.dataset import LabelledSounds
from training.data.splits import random_split
from training.evaluation.held_out_predictions import ask
from training.evaluation.metrics import Evaluation, evaluate
from training.fit.stack_fit import FittedModels, fit_models, n_epochs_of_a_fit
from training.maintainer.confident_errors import KindOfMistake, surest_mistakes
from training.maintainer.corpus_pair import Split, TwoTables, splits_by_vendor
from training.prior.pretrained import Prior, generated_prior
from training.progress import Progress, counter

if TYPE_CHECKING:
    from classifier.model.name_lstm import SequenceModel

#: Raised whenever a reader of the old `Comparison.as_dict` would misread the new one.
SCHEMA_VERSION: Final = 1


class System(StrEnum):
    """The three, in the order of every table; ours is the last."""

    REFERENCE = "reference"
    KEYWORD = "keyword"
    OURS = "ours"

    @property
    def shown(self) -> str:
        """What a person reads."""
        return _SHOWN[self]


_SHOWN: Final = {
    System.REFERENCE: "reference stack",
    System.KEYWORD: "keyword list",
    System.OURS: "cratesort",
}


class Table(StrEnum):
    """The two tables."""

    CORPUS = "corpus"
    NAMES = "names"


@dataclass(frozen=True)
class SystemScore:
    """One system on one table.

    Attributes
    ----------
    seconds : float
        All its fits and answers.
    """

    system: System
    evaluation: Evaluation
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "system": str(self.system),
            "title": self.system.shown,
            "evaluation": self.evaluation.as_dict(),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Scores:
    """Systems on the same tested sounds.

    Attributes
    ----------
    n_vendors : int
        Whose sounds were tested.
    n_fits : int
        Of each system; one for each fold.
    mistakes : tuple of KindOfMistake
        Of the last system.
    """

    n_vendors: int
    n_fits: int
    systems: tuple[SystemScore, ...]
    mistakes: tuple[KindOfMistake, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "n_vendors": self.n_vendors,
            "n_fits": self.n_fits,
            "systems": [score.as_dict() for score in self.systems],
            "mistakes": [kind.as_dict() for kind in self.mistakes],
        }


@dataclass(frozen=True)
class Comparison:
    """What was measured.

    Attributes
    ----------
    at_random : Scores or None
        None where the first table was not asked for, or no system learns.
    """

    seed: int
    reference_batch_size: int
    by_vendor: dict[Table, Scores]
    at_random: Scores | None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "seed": self.seed,
            "reference_batch_size": self.reference_batch_size,
            "libraries": installed_libraries(),
            "by_vendor": {str(table): scores.as_dict() for table, scores in self.by_vendor.items()},
            "random": self.at_random.as_dict() if self.at_random else None,
        }


def compare(
    tables: TwoTables,
    *,
    asked: Sequence[Table],
    systems: Sequence[System],
    seed: int,
    n_folds: int,
    reference_batch_size: int,
    progress: Progress,
) -> Comparison:
    """Ask the systems about vendors they have not seen, then about some they have.

    Parameters
    ----------
    asked : sequence of Table
        Tested; both are learned from.
    seed : int
        Of splits and fits; but for times, the same seed gives the same figures on one machine.
    n_folds : int, >= 2
        At most; there are no more than vendors.
    reference_batch_size : int
        Of the reference LSTM; published: 1.

    Raises
    ------
    TrainingError
        A table has fewer than two vendors, or too little stands beside one.
    """
    runner = _Runner(seed, reference_batch_size)
    tested = {Table.CORPUS: tables.corpus, Table.NAMES: tables.tested_names}
    # Before the first fit, which takes minutes: a table that cannot be asked is refused here.
    splits = {table: splits_by_vendor(tables, tested[table], n_folds, seed=seed) for table in asked}
    in_order = [system for system in System if system in systems]
    by_vendor = {
        table: runner.scores(
            tested[table],
            splits[table],
            in_order,
            progress,
            f"{table} by vendor",
            tables.untested_names if table is Table.NAMES else None,
        )
        for table in asked
    }
    # A list learns of nobody, so no vendor is known to it.
    learning = [system for system in in_order if system is not System.KEYWORD]
    at_random = None
    if Table.CORPUS in asked and learning:
        learned, held_out = random_split(len(tables.corpus), seed=seed)
        split = (tables.corpus.take(learned), held_out)
        at_random = runner.scores(tables.corpus, [split], learning, progress, "random split")
    return Comparison(seed, reference_batch_size, by_vendor, at_random)


class _Runner:
    """Fits and asks systems on the same splits."""

    def __init__(self, seed: int, reference_batch_size: int) -> None:
        self._seed = seed
        self._batch_size = reference_batch_size

    @cached_property
    def _prior(self) -> Prior:
        return generated_prior()

    @cached_property
    def _sequence(self) -> "SequenceModel":
        # TensorFlow takes seconds to load, and a list of keywords does not need it.
        from classifier.model.name_lstm import SequenceModel

        return SequenceModel(self._seed)

    def scores(
        self,
        sounds: LabelledSounds,
        splits: Sequence[Split],
        systems: Sequence[System],
        progress: Progress,
        phase: str,
        others: LabelledSounds | None = None,
    ) -> Scores:
        """Return each system's figures over all tested rows of all splits.

        `others` may be mates of the tested.
        """
        steps = {system: sum(self._steps(system, side) for side, _ in splits) for system in systems}
        advance = counter(progress, phase, sum(steps.values()))
        rows = np.concatenate([tested for _, tested in splits])
        tested_sounds = sounds.take(rows)
        found = []
        probabilities = np.zeros((len(sounds), N_CATEGORIES), np.float32)
        for system in systems:
            began = time.perf_counter()
            for side, tested in splits:
                fitted = self._fit(system, side, advance)
                probabilities[tested] = ask(fitted, sounds, tested, others)
            evaluation = evaluate(tested_sounds.category_indices, probabilities[rows])
            found.append(SystemScore(system, evaluation, time.perf_counter() - began))
        return Scores(
            len(set(tested_sounds.vendors)),
            len(splits),
            tuple(found),
            surest_mistakes(tested_sounds, probabilities[rows]),
        )

    def _steps(self, system: System, side: LabelledSounds) -> int:
        if system is System.OURS:
            return n_epochs_of_a_fit(side, self._prior)
        return published_method.EPOCHS + 1 if system is System.REFERENCE else 1

    def _fit(
        self, system: System, side: LabelledSounds, advance: Callable[[], None]
    ) -> FittedSystem | FittedModels:
        if system is System.OURS:
            return fit_models(side, self._sequence, self._prior, seed=self._seed, on_epoch=advance)
        if system is System.KEYWORD:
            advance()
            return load_keywords()
        lstm = published_method.NameLstm(
            side, seed=self._seed, batch_size=self._batch_size, on_epoch=advance
        )
        stack = published_method.InSampleStack(side, lstm, seed=self._seed)
        advance()
        return stack

"""Ablations: our system without a part of its inputs, using the fits of the complete system."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import LabelledSounds
from training.evaluation.experiment import System
from training.fit.blind_forest import GENERAL_LSTM, NAMES
from training.fit.stack_fit import FittedModels, StackFitter


@dataclass(frozen=True)
class _Alone:
    """Fitted models that predict without pack-mates and, unless `headers`, without headers.

    The forest was also fitted on rows without these inputs, so no new forest is needed.
    """

    models: FittedModels
    headers: bool

    def probabilities(self, sounds: LabelledSounds) -> NDArray[np.float32]:
        """See `training.baselines.published_method.FittedSystem`."""
        alone = replace(sounds, folders=np.full(len(sounds), "", dtype=object))
        if not self.headers:
            alone = replace(alone, headers=np.full_like(sounds.headers, np.nan))
        return self.models.probabilities(alone)


def ablations(fitter: StackFitter) -> list[System]:
    """Return systems that reuse the models which `fitter` last fitted to the same sounds.

    The first system is "name only". None of them fits an LSTM; "header only" and "no general LSTM"
    each fit a forest.
    """

    def alone(*, headers: bool) -> Callable[..., _Alone]:
        return lambda *_: _Alone(fitter.last, headers)

    return [
        System("name_only", "name only", alone(headers=False)),
        System("header_only", "header only", lambda *_: fitter.without(NAMES)),
        System("no_mates", "no pack-mates", alone(headers=True)),
        System("no_general_lstm", "no general LSTM", lambda *_: fitter.without(GENERAL_LSTM)),
    ]

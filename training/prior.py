"""What a model knows before it has seen any vendor's rows, and what keeps it from forgetting that.

The LSTM learns the project's own generated names once; every fit on real rows starts from there.
Other generated names stand beside the real rows of each fit: unlearning what is generally true
would cost there. Nobody's vendor gave these names, so they may stand on the learning side of any
split; they are never tested on.

What is not here: how the names are made (`generation`), fits on real rows (`fitting`).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.filenames import tokenise
from classifier.sequence import SequenceModel
from classifier.vocabulary import Vocabulary
from training.dataset import LabelledSounds
from training.generation import generate_sounds
from training.naming import load_naming

#: Generated sounds of each category: learned first, then those beside real rows of an LSTM's fit,
#: and those of a forest's. ``docs/decisions/0011`` has the figures of other sizes and weights.
PRIOR_SOUNDS: Final = 800
REPLAYED_SOUNDS: Final = 200
STACKED_SOUNDS: Final = 400

PRIOR_EPOCHS: Final = 8

#: Of fits that start from the prior: shorter and slower than the prior's own, which they would
#: otherwise wipe out.
EPOCHS: Final = 6
LEARNING_RATE: Final = 0.003

#: Weight of all generated rows of a fit, where all real rows together weigh 1.
REPLAYED_WEIGHT: Final = 1.0
STACKED_WEIGHT: Final = 2.0

#: The prior is the same whatever seed a training run has.
_SEED: Final = 11

#: A word that fewer generated names hold is an invented one.
_LEAST_NAMES_OF_A_WORD: Final = 3


@dataclass(frozen=True)
class Prior:
    """Prior knowledge, ready for fits on real rows.

    Attributes
    ----------
    words : tuple of str
        The first words of every vocabulary, so that their ids are the same in all.
    replayed, stacked : LabelledSounds
        Generated sounds beside the real ones in an LSTM's fit, and in a forest's.
    start : tuple of ndarray
        The LSTM's learned weights, for `SequenceModel.start_from`.
    """

    words: tuple[str, ...]
    replayed: LabelledSounds
    stacked: LabelledSounds
    start: tuple[NDArray[np.float32], ...]


@lru_cache(maxsize=1)
def learned_prior() -> Prior:
    """Return the prior; learned on the first call, which takes some seconds."""
    naming = load_naming()
    sounds = generate_sounds(naming, PRIOR_SOUNDS, seed=_SEED)
    tokens = [tokenise(name) for name in sounds.names]
    vocabulary = Vocabulary.fit(tokens, minimum_count=_LEAST_NAMES_OF_A_WORD)
    sequence = SequenceModel(_SEED)
    sequence.fit(
        vocabulary.encode(tokens),
        sounds.category_indices,
        np.ones(len(sounds)),
        seed=_SEED,
        epochs=PRIOR_EPOCHS,
    )
    return Prior(
        vocabulary.words,
        generate_sounds(naming, REPLAYED_SOUNDS, seed=_SEED + 1),
        generate_sounds(naming, STACKED_SOUNDS, seed=_SEED + 2),
        sequence.state(),
    )

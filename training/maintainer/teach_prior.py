"""Train the general LSTM that ships: ``python -m training.maintainer.teach_prior``.

Maintainers run this after a change of ``naming.toml`` or of the generator. Several teachers learn
different generated names, with dropout, so that they make different errors. Their mean prediction
is more accurate than any single teacher, and one LSTM learns to predict it (distillation, Hinton et
al. 2015).
"""

import hashlib
import sys
from importlib import resources
from typing import Any, Final

import numpy as np

from classifier.categories import N_CATEGORIES
from classifier.model.name_lstm import SequenceModel, one_hot
from classifier.model.vocabulary import Vocabulary
from classifier.names.tokens import tokenise
from training.data.dataset import LabelledSounds
from training.prior.generation import generate_folders, generate_sounds
from training.prior.naming import load_naming
from training.prior.pretrained import PRIOR_FILE, PRIOR_SEED

#: Number of teachers, and generated sounds per category that each teacher learns. The pupil learns
#: the names of all teachers. ``docs/decisions/0022`` compares smaller numbers.
N_TEACHERS: Final = 6
TAUGHT_SOUNDS: Final = 1600
TEACHER_EPOCHS: Final = 8
PUPIL_EPOCHS: Final = 6

#: A word in fewer generated names is an invented one and gets no place in the vocabulary.
_FEWEST_NAMES_OF_A_WORD: Final = 3

#: Most words of the prior; the vocabulary of a fit also needs room for words of real vendors.
_MOST_PRIOR_WORDS: Final = 3500


def main() -> None:
    """Learn the generated names and write the prior into the package `training.prior`."""
    rows = _taught_rows()
    vocabulary, pupil = _teach(rows)
    pupil.forget_words(len(vocabulary.words))
    arrays: dict[str, Any] = {f"weights_{i}": part for i, part in enumerate(pupil.state())}
    path = str(resources.files("training.prior").joinpath(PRIOR_FILE))
    np.savez_compressed(
        path, words=np.array(vocabulary.words), learned_from=np.array(learned_from()), **arrays
    )
    sys.stderr.write(f"{path}: {sum(map(len, rows)):,} names, {len(vocabulary.words):,} words\n")


def learned_from() -> str:
    """Return a hash of generated names and categories, which changes with their sources.

    These names do not depend on the tokeniser, unlike the rows that are learned: a tokeniser change
    that affects one generated name in ten thousand is no reason to train again.
    """
    digest = hashlib.sha256()
    sounds = generate_folders(load_naming(), TAUGHT_SOUNDS, seed=PRIOR_SEED)
    for name, category in zip(sounds.names, sounds.category_indices, strict=True):
        digest.update(f"{name}\0{category}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _taught_rows() -> list[LabelledSounds]:
    naming = load_naming()
    return [
        generate_sounds(naming, TAUGHT_SOUNDS, seed=PRIOR_SEED + teacher)
        for teacher in range(N_TEACHERS)
    ]


def _teach(rows: list[LabelledSounds]) -> tuple[Vocabulary, SequenceModel]:
    """Fit a teacher on each set of rows, and the pupil on the teachers' mean for all rows."""
    tokens = [[tokenise(name) for name in sounds.names] for sounds in rows]
    all_tokens = [of_name for of_rows in tokens for of_name in of_rows]
    fitted = Vocabulary.fit(all_tokens, minimum_count=_FEWEST_NAMES_OF_A_WORD)
    vocabulary = Vocabulary(fitted.words[:_MOST_PRIOR_WORDS])
    all_ids = vocabulary.encode(all_tokens)
    mean = np.zeros((len(all_ids), N_CATEGORIES), dtype=np.float32)
    for number, (sounds, of_rows) in enumerate(zip(rows, tokens, strict=True)):
        teacher = SequenceModel(PRIOR_SEED + number, regularised=True)
        teacher.fit(
            vocabulary.encode(of_rows),
            one_hot(sounds.category_indices),
            np.ones(len(sounds)),
            seed=PRIOR_SEED + number,
            epochs=TEACHER_EPOCHS,
        )
        mean += teacher.probabilities(all_ids) / len(rows)
        sys.stderr.write(f"teacher {number + 1} of {len(rows)}\n")
    pupil = SequenceModel(PRIOR_SEED)
    pupil.fit(all_ids, mean, np.ones(len(mean)), seed=PRIOR_SEED, epochs=PUPIL_EPOCHS)
    return vocabulary, pupil


if __name__ == "__main__":
    main()

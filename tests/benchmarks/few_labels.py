"""Effect of two hundred labels of one vendor on its accuracy and on that of others.

``python -m tests.benchmarks.few_labels CORPUS``. For each fold of vendors held out of a base model,
the vendor with the most categories contributes 200 labels, and the base model is retrained on them
(`training.prior.pretrained.Prior.recipe`). Prints accuracy and macro F1 on that vendor's other
files (own), on the other held-out vendors (rest), and on 2,000 training files of the base model
(known).

A test of the same is in `tests.integration.test_training_at_full_size`.
"""

import argparse
from dataclasses import replace

import numpy as np

from training.data.csv_tables import read_table
from training.data.dataset import LabelledSounds
from training.data.splits import vendor_folds
from training.evaluation.metrics import evaluate
from training.fit.stack_fit import FittedModels, StackFitter
from training.prior.pretrained import generated_prior

LABELS = 200
FEWEST_FILES = 300


def _line(models: FittedModels, sides: dict[str, LabelledSounds]) -> str:
    found = []
    for name, sounds in sides.items():
        figures = evaluate(sounds.category_indices, models.probabilities(sounds))
        found.append(f"{name} {figures.accuracy:.3f} / {figures.macro_f1:.3f}")
    return "   ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    corpus = read_table(parser.parse_args().corpus)
    rng = np.random.default_rng(0)
    for learned, left_out in vendor_folds(corpus.vendors, corpus.category_indices, 5, seed=0):
        vendors, counts = np.unique(corpus.vendors[left_out].astype(str), return_counts=True)
        large = [vendor for vendor, n in zip(vendors, counts, strict=True) if n >= FEWEST_FILES]
        if not large:
            continue
        vendor = max(
            large, key=lambda one: len(set(corpus.category_indices[corpus.vendors == one]))
        )
        theirs = rng.permutation(left_out[corpus.vendors[left_out] == vendor])
        sides = {
            "own": corpus.take(theirs[LABELS:]),
            "rest": corpus.take(left_out[corpus.vendors[left_out] != vendor]),
            "known": corpus.take(rng.permutation(learned)[:2000]),
        }
        base = StackFitter(generated_prior(), seed=0).fit(corpus.take(learned))
        prior = replace(
            generated_prior(),
            words=base.vocabulary.words,
            start=base.learned.state(),
            scaler=base.scaler,
            forest=base.forest,
            calibration=base.calibration,
        )
        print(f"{vendor}: {len(theirs):,} files")
        print(f"  base         {_line(base, sides)}")
        few = corpus.take(np.sort(theirs[:LABELS]))
        print(f"  {LABELS} labels   {_line(StackFitter(prior, seed=0).fit(few), sides)}")


if __name__ == "__main__":
    main()

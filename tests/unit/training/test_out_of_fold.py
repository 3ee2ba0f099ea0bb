"""Comparing two models on a small library's own sounds."""

import numpy as np
import pytest

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.headers.reader import AudioHeader
from training.data.dataset import LabelledSounds
from training.phase_progress import no_progress
from training.runs.out_of_fold import compare_out_of_fold, groups_of

HEADER = AudioHeader(1000, 1.0, 44_100, 1, 44_100, "PCM_16")


def library(names, categories, folders):
    n = len(names)
    return LabelledSounds.from_rows(names, [HEADER] * n, categories, ["me"] * n, None, folders)


def of_folders(n_folders, of_each=12):
    """Sounds of two categories in so many folders."""
    rows = [
        (f"{i}.wav", CATEGORIES[i % 2], f"f{f}") for f in range(n_folders) for i in range(of_each)
    ]
    return library(*zip(*rows, strict=True))


class Knowing:
    """A model that is right about this share of sounds, and what fits it."""

    def __init__(self, share):
        self.share, self.learned = share, []

    def n_epochs(self, _sounds):
        return 1

    def fit(self, sounds, _advance):
        self.learned.append(set(sounds.folders))
        return self

    def probabilities(self, sounds):
        answers = np.full((len(sounds), N_CATEGORIES), 0.01, dtype=np.float32)
        wrong = np.arange(len(sounds)) >= self.share * len(sounds)
        answers[np.arange(len(sounds)), (sounds.category_indices + wrong) % N_CATEGORIES] = 0.89
        return answers


def compare(sounds, rows=None, champion=0.5, challenger=1.0):
    fitter = Knowing(challenger)
    rows = np.arange(len(sounds)) if rows is None else rows
    known = Knowing(champion).probabilities
    decision = compare_out_of_fold(sounds, rows, known, fitter, seed=0, progress=no_progress)
    return decision, fitter


def test_a_better_model_is_promoted_and_the_reason_states_the_evidence():
    decision, fitter = compare(of_folders(6))
    assert decision.promote
    assert "draws of folders (macro F1 0.583 -> 1.000, " in decision.reason
    assert decision.reason.endswith(
        "; on 72 of your sounds that neither model was trained on, grouped by folder"
    )
    # Every folder is left out of one fit.
    assert len(fitter.learned) == 3
    assert set.intersection(*fitter.learned) == set()


def test_too_few_sounds_decide_nothing_and_both_figures_are_reported():
    decision, _ = compare(of_folders(6, of_each=4))
    assert not decision.promote
    assert not decision.is_proven
    assert decision.reason == (
        "too few sounds to decide: the new model has 24 right and the current one 12, of 24 of "
        "your sounds that neither model was trained on, grouped by folder"
    )


def test_sounds_the_champion_was_trained_on_are_not_compared():
    sounds = of_folders(8)
    decision, _ = compare(sounds, np.flatnonzero(sounds.folders > "f2"))
    assert decision.challenger.n_sounds == 60


def test_without_sounds_new_to_the_champion_no_model_is_fitted():
    decision, fitter = compare(of_folders(8), np.empty(0, dtype=np.int64))
    assert not decision.is_proven
    assert decision.reason.startswith(
        "too few sounds to compare on: the current model was not trained on 0 of 96"
    )
    assert fitter.learned == []


def test_a_large_library_takes_only_one_additional_fit(monkeypatch):
    monkeypatch.setattr("training.runs.out_of_fold._MOST_OF_ALL_FOLDS", 50)
    _, fitter = compare(of_folders(6))
    assert len(fitter.learned) == 1


@pytest.mark.parametrize(
    ("folders", "unit", "n_groups"), [(list("abcdeabcde"), "folder", 5), (["a"] * 10, "name", 3)]
)
def test_folds_keep_folders_together_or_numbered_series_if_there_are_few_folders(
    folders, unit, n_groups
):
    names = [f"{word} {number}.wav" for word, number in zip(["kick"] * 5 + ["bell"] * 4 + ["7"],
             range(10), strict=True)]  # fmt: skip
    groups, what = groups_of(library(names, ["drum"] * 10, folders))
    assert (what, len(set(groups))) == (unit, n_groups)

"""Mates among the rows of a table."""

import numpy as np
import pytest

pytest.importorskip("pandas")

from classifier.headers.reader import AudioHeader
from training.data.dataset import LabelledSounds
from training.data.row_mates import mates_in, means_over, tokens_of

NOTHING = AudioHeader(None, None, None, None, None, None)


def sounds(**folder_of_name):
    return LabelledSounds.from_rows(
        [f"{name}.wav" for name in folder_of_name],
        [NOTHING] * len(folder_of_name),
        ["drum"] * len(folder_of_name),
        ["vendor"] * len(folder_of_name),
        folders=list(folder_of_name.values()),
    )


def test_rows_of_one_folder_are_mates_and_rows_without_a_folder_have_none():
    first, second, third, alone = mates_in(sounds(a1="x", a2="x", b="y", c=""))
    assert first is second
    assert set(first.names) == {"a1.wav", "a2.wav"}
    assert third.names == ("b.wav",)
    assert alone is None


def test_a_series_of_another_folder_does_not_count():
    rows = sounds(snare90="x", snare5="x", SNARE90="y")
    assert tokens_of(rows) == [["snare", "<index>"], ["snare", "<index>"], ["snare", "<tempo>"]]


def test_the_mean_of_a_folder_is_assigned_to_each_of_its_rows():
    folders = np.array(["x", "", "x"], dtype=object)
    means = means_over(folders, np.array([[1.0], [5.0], [3.0]], dtype=np.float32))
    np.testing.assert_array_equal(means, [[2.0], [np.nan], [2.0]])

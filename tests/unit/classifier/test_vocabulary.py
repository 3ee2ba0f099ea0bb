"""From tokens to the ids an LSTM reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.model.vocabulary import (
    IDS_PER_TOKEN,
    MOST_WORDS,
    N_IDS,
    PADDING_ID,
    SEQUENCE_LENGTH,
    UNKNOWN_ID,
    Vocabulary,
    first_and_last,
)
from classifier.names.tokens import tokenise


def test_frequent_words_come_first_and_words_of_a_single_name_are_unknown():
    vocabulary = Vocabulary.fit([["kick", "deep"], ["kick", "snare"], ["snare"], ["kick"]])
    assert vocabulary.words == ("kick", "snare")
    assert vocabulary.encode([["kick", "deep"]])[0, :2, 0].tolist() == [2, UNKNOWN_ID]


def test_a_word_repeated_in_one_name_counts_once():
    assert Vocabulary.fit([["boom", "boom"]]).words == ()


def test_words_given_beforehand_keep_their_ids():
    names = [["snare", "kick"], ["snare", "tom"], ["tom"]]
    assert Vocabulary.fit(names, known=("kick", "riser")).words == ("kick", "riser", "snare", "tom")


def test_the_vocabulary_has_a_maximum_size():
    many = [[f"word{number}"] for number in range(MOST_WORDS + 10)] * 2
    assert len(Vocabulary.fit(many).words) == MOST_WORDS


def test_the_row_is_padded_after_the_last_token():
    ids = Vocabulary(["kick"]).encode([["kick"]])
    assert ids.shape == (1, SEQUENCE_LENGTH, IDS_PER_TOKEN)
    assert ids.dtype == np.int64
    assert (ids[0, 1:] == PADDING_ID).all()


def test_a_long_name_keeps_its_first_and_last_tokens():
    assert first_and_last("abcdefghij", 4) == ["a", "b", "i", "j"]
    assert first_and_last("abc", 4) == "abc"


def test_an_unknown_word_shares_sub_words_with_similar_words():
    ids = Vocabulary(["kick"]).encode([["kick"], ["kicky"], ["oboe"]])
    kick, kicky, oboe = (set(row[0][1:].tolist()) - {PADDING_ID} for row in ids)
    assert kick & kicky
    assert not kick & oboe


def test_a_typed_token_has_no_sub_words():
    assert (Vocabulary(["<bpm>"]).encode([["<bpm>"]])[0, 0, 1:] == PADDING_ID).all()


def test_an_empty_list_encodes_to_an_empty_array():
    assert Vocabulary([]).encode([]).shape == (0, SEQUENCE_LENGTH, IDS_PER_TOKEN)


@given(st.lists(st.text(st.characters(), max_size=60), max_size=5))
def test_any_name_encodes_within_the_embedding_and_survives_a_json_round_trip(file_names):
    names = [tokenise(name) for name in file_names]
    vocabulary = Vocabulary.fit(names, minimum_count=1)
    ids = vocabulary.encode(names)
    assert ((ids >= 0) & (ids < N_IDS)).all()
    assert (ids[:, 0, 0] != PADDING_ID).all()
    again = Vocabulary.from_json(vocabulary.to_json())
    assert (again.encode(names) == ids).all()


@pytest.mark.parametrize(
    "document", [b"[]", b"{}", b'{"words": "kick"}', b'{"words": [1]}', b'{"words": ["a", "a"]}']
)
def test_an_invalid_vocabulary_document_is_refused(document):
    with pytest.raises(ValueError, match=r"vocabulary"):
        Vocabulary.from_json(document)

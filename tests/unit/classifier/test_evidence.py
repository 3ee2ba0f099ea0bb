"""What a category rests on: the first of folder, name, mates, header that suffices."""

import pytest

from classifier.model.evidence import Evidence, evidence_of

DRUM, VOCAL, BASS = range(3)


@pytest.mark.parametrize(
    ("by_name", "by_pack_mates", "has_folder_words", "evidence"),
    [
        (DRUM, DRUM, False, Evidence.NAME),
        (DRUM, VOCAL, False, Evidence.NAME),
        (DRUM, None, False, Evidence.NAME),
        (DRUM, VOCAL, True, Evidence.FOLDER),
        (VOCAL, DRUM, False, Evidence.PACK_MATES),
        (VOCAL, DRUM, True, Evidence.PACK_MATES),
        (VOCAL, BASS, False, Evidence.HEADER),
        (VOCAL, None, False, Evidence.HEADER),
        (VOCAL, VOCAL, True, Evidence.HEADER),
    ],
)
def test_the_first_that_suffices_is_the_evidence(
    by_name, by_pack_mates, has_folder_words, evidence
):
    assert evidence_of(DRUM, by_name, by_pack_mates, has_folder_words=has_folder_words) is evidence


def test_the_first_category_is_not_taken_for_mates_nobody_knows():
    assert evidence_of(0, 1, None) is Evidence.HEADER
    assert evidence_of(0, 1, 0) is Evidence.PACK_MATES

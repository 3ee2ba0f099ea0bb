"""Batches that could not be handed back, written down as empty files."""

import pytest

from workers.recovery.deferred_handback import ious_in, write_iou


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data" / "running"


def test_what_is_written_down_can_be_read_again(folder):
    write_iou(folder, 12, "0c4b")
    (iou,) = ious_in(folder)
    assert (iou.batch_id, iou.token) == (12, "0c4b")


def test_an_iou_whose_file_is_deleted_is_redeemed(folder):
    write_iou(folder, 12, "0c4b")
    for iou in ious_in(folder):
        iou.path.unlink()
    assert list(ious_in(folder)) == []


def test_the_same_claim_is_written_down_once(folder):
    write_iou(folder, 12, "0c4b")
    write_iou(folder, 12, "0c4b")
    assert len(list(ious_in(folder))) == 1


def test_two_claims_of_one_batch_are_told_apart(folder):
    write_iou(folder, 12, "first")
    write_iou(folder, 12, "second")
    assert [iou.token for iou in ious_in(folder)] == ["first", "second"]


def test_where_nobody_ever_worked_there_are_none(folder):
    assert list(ious_in(folder)) == []


@pytest.mark.parametrize("name", ["a-host-12-abc.note", "twelve-0c4b.iou", "-0c4b.iou", "12-0c4b"])
def test_what_else_lies_there_is_none(folder, name):
    folder.mkdir(parents=True)
    (folder / name).touch()
    assert list(ious_in(folder)) == []


def test_an_iou_is_for_its_owner_alone(folder):
    write_iou(folder, 12, "0c4b")
    (iou,) = ious_in(folder)
    assert iou.path.stat().st_mode & 0o777 == 0o600

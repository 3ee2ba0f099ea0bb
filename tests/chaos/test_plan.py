"""The order of faults: decided by the seed, and every kind has its turn."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.chaos.faults import plan
from tests.chaos.kinds import KINDS


def drawn(seed, seconds=60):
    return list(plan(seed, seconds, KINDS))


def test_the_same_seed_gives_the_same_faults_at_the_same_moments():
    assert drawn(7) == drawn(7)


def test_another_seed_gives_others():
    assert [each.fault.name for each in drawn(7)] != [each.fault.name for each in drawn(8)]


def test_a_longer_run_begins_as_a_shorter_one_does():
    assert drawn(7, seconds=90)[: len(drawn(7))] == drawn(7)


def test_every_kind_comes_before_any_comes_again():
    counts = Counter(each.fault.name for each in drawn(7, seconds=120)[: len(KINDS)])
    assert counts == Counter(kind.name for kind in KINDS)


def test_no_two_kinds_share_a_name():
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("target", ["worker", "storage", "redis link"])
def test_what_each_worker_has_is_hit_on_either(target):
    hit = {each.target for each in drawn(7, seconds=600) if each.fault.target == target}
    assert hit == {f"{target} 1", f"{target} 2"}


def test_what_lasts_has_a_target_at_which_it_is_put_right():
    assert [kind.name for kind in KINDS if any(kind.lasts) and not kind.target] == []


def test_faults_that_come_alone_leave_time_to_recover():
    faults = list(plan(7, 600, KINDS, alone=True))
    for before, after in pairwise(faults):
        assert after.at_seconds >= before.at_seconds + before.seconds + before.fault.gap_seconds

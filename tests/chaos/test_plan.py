"""The order of faults: decided by the seed, and every kind has its turn."""

from collections import Counter

from tests.chaos.faults import KINDS, plan


def drawn(seed, seconds=60):
    return list(plan(seed, seconds, KINDS))


def test_the_same_seed_gives_the_same_faults_at_the_same_moments():
    assert drawn(7) == drawn(7)


def test_another_seed_gives_others():
    assert [each.fault.name for each in drawn(7)] != [each.fault.name for each in drawn(8)]


def test_a_longer_run_begins_as_a_shorter_one_does():
    assert drawn(7, seconds=90)[: len(drawn(7))] == drawn(7)


def test_every_kind_comes_before_any_comes_again():
    counts = Counter(each.fault.name for each in drawn(7)[: len(KINDS)])
    assert counts == Counter(kind.name for kind in KINDS)


def test_no_two_kinds_share_a_name():
    assert len({kind.name for kind in KINDS}) == len(KINDS)

"""Who is held out: decided by names alone, the same on any host in any year."""

import numpy as np

from training.data.holdout import ONE_IN, held_out


def of(vendors, packs):
    return held_out(np.array(vendors, dtype=object), np.array(packs, dtype=object)).tolist()


def test_a_pack_is_held_out_as_a_whole_or_not_at_all():
    vendors = [f"vendor {i % 40}" for i in range(400)]
    packs = [f"pack {i % 200}" for i in range(400)]
    decided = dict(zip(zip(vendors, packs, strict=True), of(vendors, packs), strict=True))
    assert of(vendors, packs) == [decided[both] for both in zip(vendors, packs, strict=True)]
    assert {True, False} == set(decided.values())


def test_the_holdout_does_not_depend_on_other_labels():
    alone = [of([f"vendor {i}"], ["pack"])[0] for i in range(50)]
    assert of([f"vendor {i}" for i in range(50)], ["pack"] * 50) == alone


def test_some_vendors_are_held_out_completely_and_some_packs_of_others():
    n_packs = 64
    whole = part = 0
    for vendor in range(400):
        decided = of([f"vendor {vendor}"] * n_packs, [f"pack {i}" for i in range(n_packs)])
        whole += all(decided)
        part += any(decided) and not all(decided)
    assert 0.5 / ONE_IN < whole / 400 < 2 / ONE_IN
    assert part > 200


def test_the_holdout_does_not_change_between_versions():
    # Frozen: another answer here lets later models learn what earlier ones were measured on.
    vendors = [f"vendor {i}" for i in range(24)]
    found = of(vendors, ["pack"] * 24)
    assert [i for i, out in enumerate(found) if out] == [2, 6, 7, 8, 10, 12, 18, 22, 23]

"""What ``cratesort train`` prints of a run that was compared, without one."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sklearn")

from classifier.categories import N_CATEGORIES
from cli.models.train import _print_retraining, _print_table_run
from training.evaluation.metrics import evaluate


def test_both_models_are_shown_in_a_table_of_80_columns(capsys):
    figures = {"macro_precision": 0.7, "macro_f1": 0.65, "accuracy": 0.81, "n_sounds": 123_456}
    sizes = {"labelled": 1_000_000, "learned": 1, "held_out": 2, "copies": 3, "contradictory": 4}
    finished = SimpleNamespace(
        run=SimpleNamespace(verdict="promoted", reason="better in 100% of 2,000 draws of packs"),
        result=SimpleNamespace(
            version="20261126-033000",
            sizes={**sizes, "surplus": 5},
            metrics={
                "champion_version": "20261125-033000",
                "champion": figures,
                "challenger": {**figures, "macro_f1": 0.75},
            },
        ),
    )
    _print_retraining(finished)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[4:6]] == [
        ["champion", "20261125-033000", "0.700", "0.650", "0.810", "123,456"],
        ["challenger", "20261126-033000", "0.700", "0.750", "0.810", "123,456"],
    ]
    assert "models promote" not in "".join(lines)


def test_a_run_from_a_table_shows_its_figures_in_80_columns(capsys):
    probabilities = np.eye(N_CATEGORIES, dtype=np.float32)[[2, 2, 0, 11]]
    figures = evaluate(np.array([2, 2, 2, 11]), probabilities).as_dict()
    finished = SimpleNamespace(
        result=SimpleNamespace(
            version="20261126-033000",
            bundle=b"x" * 2_700_000,
            sizes={"sounds": 123_456},
            metrics={
                "by_vendor": figures,
                "by_vendor_skipped": None,
                "random_split": figures,
                "champion_version": "starter-1",
                "champion": figures,
                "challenger": figures,
                "passed_gate": False,
                "gate": "macro F1 falls",
            },
        )
    )
    _print_table_run(finished)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    measured = next(line for line in lines if "accuracy" in line)
    assert all(figure in measured for figure in ("0.750", "1.000", "0.900", "4 sounds"))
    assert ["c", "drum", "1", ".", "2", *["."] * 9] in [line.split() for line in lines]
    assert "  macro F1 falls" in lines
    assert ["champion", "starter-1", "1.000", "0.900", "0.750", "4"] in [s.split() for s in lines]
    assert lines[-1] == "  cratesort models promote 20261126-033000 --yes"
    stored = next(line for line in lines if "Model 20261126-033000" in line)
    assert all(figure in stored for figure in ("123,456 sounds", "2.7 MB"))

"""What ``cratesort train`` prints of a run that was compared, without one."""

from types import SimpleNamespace

from cli.train import _print_retraining


def test_both_models_stand_in_a_table_of_80_columns(capsys):
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

"""The tables of the ablation study: their arithmetic on made-up runs, and what they say of missing ones."""

import json
import re

import numpy as np
from scipy import stats

from helpers.made_study import pretend, write
from losa.studies import ablations as study


def test_the_table_pairs_seeds_averages_backbones_first_and_names_what_is_missing(worlds):
    gain = {"head_only": 0.0, "short": 4.0, "long": 3.0, "both": 6.0}
    noise = {101: 0.0, 102: 2.0, 103: -1.0, 104: 1.0, 105: 0.5}
    score = lambda run: (50 + run.data_seed - 100 + gain[run.label]  # noqa: E731
                         + (run.label == "both") * (noise[run.data_seed] + (run.backbone == "gap_1")))
    runs = [*study.planned(worlds, "headline"), *study.planned(worlds, "ranges")]
    pretend(worlds, [r for r in runs if (r.label, r.data_seed, r.backbone) != ("long", 105, "gap")], score)
    table = study.write_tables(worlds)
    values = np.array([6.5 + noise[seed] for seed in study.FIVE])
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    row = next(line for line in table.splitlines() if line.startswith("| both"))
    assert f"| {values.mean():+.1f} ± {(high - low) / 2:.1f} |" in row and "| +6.5 / +7.5 |" in row
    assert "[+0.0, +0.0]" in row  # the made-up predictions are all the same
    assert "1 of 20 runs are missing" in table and "| 1,000 |" in row and "not converged" not in table
    assert re.search(r"\| kick \(unseen by gap\) \| 53.0 \| \+4.0 ± 0.0 \|", table)
    both = re.search(r"gap: 6 classes unseen \| the 6 unseen by gap \| 53.0 \| (.*?) \|", table)
    assert both and both[1] == f"{53 + 6 + np.mean(list(noise.values())):.1f}"
    assert {p.name for p in worlds.glob("*.png")} == {"ablation_intervals.png", "ablation_where.png"}


def test_settings_without_a_finished_run_are_left_out_and_an_unknown_gain_is_no_number(worlds):
    runs = [run for run in study.planned(worlds, "context_near") if run.label in ("head_only", "both")]
    pretend(worlds, runs, lambda run: 50.0)
    for path in (worlds / "runs").glob("*/result.json"):
        write(path, {**json.loads(path.read_text()), "late_gain": None})  # validated once
    table = study.write_tables(worlds)
    assert "6 of 12 runs are missing" in table and "| short" not in table and "nan" not in table
    assert "| unknown |" in table

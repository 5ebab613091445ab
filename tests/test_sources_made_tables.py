"""RouterBench's table out of made CSV files, and what is read from it and from RouteLLM's made files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import loadings_fitted
import numpy as np
import pandas as pd
import pytest
from sources_made import Place, assemble, old_frame, slice_csvs, slice_rows, slice_truth, study, wide

from rb_support import paper
from rb_support.catalog import ARC, MBPP, MODELS, WINOGRANDE
from rb_support.embed import bare_questions
from rb_support.load import load_outcomes
from rb_support.outcomes import Outcomes, TableError
from rb_support.pairs import threshold_sweep
from rb_support.routers import free_abstention
from rb_support.sources import SOURCES, load_pairs
from rb_support.sources.errors import MissingSourceError
from rb_support.studies import pilot
from rb_support.studies.commercial import commercial, commercial_leads
from rb_support.studies.dataset import one_record, printed_prices
from rb_support.studies.preference_study import WinRates

N = 16
"""Samples of each of the three tasks."""


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return slice_csvs(slice_rows(N, split=14))


@pytest.fixture
def table(made: Place, contents: dict[str, bytes], kept: Path, monkeypatch: pytest.MonkeyPatch) -> Outcomes:
    """The made slice with 14 split samples, as the published one has them; parsed once."""
    made("routerbench-slice", contents)
    monkeypatch.setenv("RB_CACHE_DIR", str(kept))
    return load_outcomes("real")


def test_the_six_files_give_every_score_and_cost_where_it_belongs(table: Outcomes) -> None:
    """Halves lie in different files, columns stand in other orders, and halves that ask twice pay twice."""
    quality, cost = slice_truth(N)
    ids = [f"{task}.val.{i}" for task in ("arc-challenge", "mbpp", "winogrande") for i in range(N)]
    places = pd.Index(table.frame["sample_id"]).get_indexer(ids)
    assert (len(table), table.models, sorted(places)) == (3 * N, MODELS, list(range(3 * N)))
    np.testing.assert_array_equal(table.quality[places], quality)
    np.testing.assert_array_equal(table.cost[places], cost)
    assert table.datasets == (ARC, WINOGRANDE, MBPP)
    assert table.origin.notes == (
        "samples whose models were scored on different rows, merged by sample_id: 14 (from 28 rows); "
        "each cost is from the row that holds the question once",
    )
    prompts = table.frame["prompt"]
    assert (prompts.str.count("Which is warm") == table.frame["task"].ne("mbpp")).all()
    assert prompts.iloc[places[N]] == prompts.iloc[places[N + 1]]
    assert prompts.iloc[places[N]] == 'Write a function that isn\'t "recursive" and adds 1 to a number.'
    assert not [column for column in table.frame.columns if column.startswith("Unnamed")]
    answers = table.frame[f"{MODELS[5]}|model_response"].iloc[places]
    assert answers.iloc[0] == "['A\\n']"
    assert answers.iloc[N].startswith('["def f(x):')


def test_the_table_says_which_bytes_it_comes_from(table: Outcomes, contents: dict[str, bytes]) -> None:
    names = [file.name for file in SOURCES["routerbench-slice"].files]
    hashes = [hashlib.sha256(contents[Path(name).name]).hexdigest() for name in names]
    assert table.origin.files == tuple(zip(names, hashes, strict=True))
    assert (table.origin.kind, table.origin.name) == ("real", "RouterBench 5-shot (three tasks)")


def test_the_prompt_that_stands_twice_is_not_parted(table: Outcomes) -> None:
    for seed in range(4):
        train, test = table.split(seed=seed)
        assert len(train) + len(test) == 3 * N
        assert not set(train.frame["prompt"]) & set(test.frame["prompt"])


def test_a_half_that_scores_what_the_other_scores_is_refused(made: Place) -> None:
    rows = slice_rows(N, split=1)
    rows.loc[1, MODELS[6]] = "1.0"
    made("routerbench-slice", slice_csvs(rows))
    complaint = (
        rf"arc_challenge_train\.csv.*\(sample_id arc-challenge\.val\.0\), column '{MODELS[6]}'.*both rows"
    )
    with pytest.raises(TableError, match=complaint):
        load_outcomes("real")


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        (MODELS[1], "1.5", "1.5 lies outside [0, 1]"),
        (MODELS[1], "", "is missing"),
        (f"{MODELS[1]}|total_cost", "free", "'free'"),
    ],
)
def test_a_cell_that_is_no_score_or_cost_is_named(
    made: Place, column: str, cell: str, complaint: str
) -> None:
    rows = slice_rows(N)
    rows.loc[rows["sample_id"] == "mbpp.val.3", column] = cell
    made("routerbench-slice", slice_csvs(rows))
    with pytest.raises(TableError) as caught:
        load_outcomes("real")
    message = str(caught.value)
    assert re.search(rf"row \d+ \(sample_id mbpp\.val\.3\), column '{re.escape(column)}': ", message)
    assert complaint in message
    assert "; " in message.partition(complaint)[2]  # and what to do


def test_what_data_can_mean(made: Place) -> None:
    with pytest.raises(MissingSourceError, match="fetch routerbench-0shot"):
        load_outcomes("real")
    made("routerbench-0shot", assemble(old_frame(wide(), "2.0")))
    assert load_outcomes("real").origin.name == "RouterBench 0-shot"
    with pytest.raises(ValueError, match=r"path of a table; there is no file 'reel'"):
        load_outcomes("reel")
    with pytest.raises(ValueError, match="scale must be one of quick, full, got 'huge'"):
        load_outcomes("real", scale="huge")  # type: ignore[arg-type]


def test_the_published_oracle_is_the_cheapest_of_the_best(table: Outcomes) -> None:
    """Except where a sample was split: each half names the best of the models that it scores."""
    choice, _ = free_abstention(table.quality, table.cost)
    ours = np.array([*MODELS, pilot.NOBODY])[choice]
    split = table.frame["sample_id"].isin([f"arc-challenge.val.{i}" for i in range(14)])
    np.testing.assert_array_equal(ours[~split], table.frame["oracle_model_to_route_to"][~split])
    assert (ours == pilot.NOBODY).sum() == 3
    shares = pilot.oracle_shares(table)
    assert shares.loc[pilot.NOBODY].tolist() == pytest.approx([1 / N] * 4)


def test_task_means_stand_beside_the_printed_ones(table: Outcomes) -> None:
    means = pilot.task_means(table)
    assert len(means) == 33
    row = means.loc["winogrande, gpt-4-1106-preview"]
    assert (row["ours"], row["paper"]) == (slice_truth(N)[0][-N:, 0].mean(), 0.859)
    assert row["difference"] == pytest.approx(row["ours"] - 0.859)


def test_points_by_dataset_end_with_the_oracle(table: Outcomes) -> None:
    points = pilot.points_by_dataset(table).set_index(["dataset", "model"])
    assert points.index.tolist() == [
        (name, model) for name in table.datasets for model in [*MODELS, "oracle"]
    ]
    quality, cost = slice_truth(N)
    assert points.loc[(MBPP, MODELS[2])].tolist() == pytest.approx(
        [cost[N : 2 * N, 2].mean(), quality[N : 2 * N, 2].mean(), N]
    )
    assert points.loc[(MBPP, "oracle"), "quality"] == quality[N : 2 * N].max(axis=1).mean()
    assert "RouterBench 5-shot (three tasks) with 48 rows of ARC-Challenge, Winogrande, MBPP." in (
        pilot.why_means_differ(table)
    )
    assert "calibrated" in pilot.why_means_differ(load_outcomes("simulated"))


def test_printed_prices_and_one_record_of_the_table(table: Outcomes) -> None:
    listed = printed_prices(table).set_index("model")
    assert listed["usd_per_query"].notna().sum() == len(MODELS) < len(listed)
    assert listed["usd_per_query"].idxmax() == MODELS[0]
    means = paper.model_means().set_index("model")["cost_usd_per_query"]
    assert listed.loc[MODELS[1], "published_usd_per_query"] == means[MODELS[1]]
    record = one_record(table, sample=0, model=MODELS[1]).set_index("attribute")["example"]
    assert record["model_name"] == "claude-v2"
    assert record["model_response"] in ("A", "B", "I do", "Unfortunately I")


def test_questions_are_bare_of_the_examples_they_share(table: Outcomes) -> None:
    bare = bare_questions(table.frame["prompt"].tolist(), table.frame["task"].tolist())
    starts = {text.split(" number")[0].split(" isn't")[0] for text in bare}
    assert starts == {"Which is", "Write a function that"}
    assert not any("warm" in text for text in bare)


def test_correlations_of_scores_are_those_of_each_pair_of_models(table: Outcomes) -> None:
    scores = table.quality[:, :4]
    matrix = loadings_fitted.correlations(scores)
    assert matrix.shape == (4, 4)
    assert (np.diag(matrix) == 1).all()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[1, 3] == loadings_fitted.tetrachoric(scores[:, 1], scores[:, 3])


def test_commercial_routers_beside_ours(made: Place) -> None:
    """Martian has 8 and 9 on each question but one that lost a turn; Unify has 9 and names GPT-4 on half."""
    study(made)
    clean = load_pairs("routellm-mtbench")
    table = commercial(clean.frame["sample_id"]).set_index("router")
    assert table["judged"].to_dict() == pytest.approx({"Unify": 9, "Martian": (8 * 10 + 9 * 9) / 19})
    assert table.loc["Martian", "score_clean"] == pytest.approx((8 * 9 + 9 * 8) / 17)
    assert table["share_in_answers"].fillna(-1).to_dict() == {"Unify": 0.5, "Martian": -1}
    gain = clean.strong - clean.weak
    rates = [WinRates("D", "perfect", "MT Bench", clean, gain)]
    leads = commercial_leads(rates, rng=np.random.default_rng(0), draws=50).set_index("commercial")
    share = table.loc["Unify", "strong_share"]
    ours = np.interp(share, *threshold_sweep(gain, clean.strong, clean.weak))
    assert leads.loc["Unify", "lead"] == pytest.approx(ours - 9)
    assert leads.loc["Martian", "lead"] == pytest.approx(
        np.interp(table.loc["Martian", "strong_share"], *threshold_sweep(gain, clean.strong, clean.weak))
        - (8.5 * 8 + 8) / 9
    )
    assert (leads["lead_low"] < leads["lead"]).all()
    assert (leads["lead"] < leads["lead_high"]).all()

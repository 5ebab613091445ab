"""Notebooks 06 and 07 on tables as people have them: they run on, and say what cannot be shown."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from tables_made import outcome_tables

from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.pairs.metrics import has_gap
from rb_support.preference import SWRanking
from rb_support.preference.training_sets import load_experiment, own_experiment
from rb_support.preference.win_model import WinModel
from rb_support.report.claims import check, claims_of
from rb_support.report.preference_figures import audit_figure, new_model_figure
from rb_support.studies import (
    audit,
    category_study,
    labels,
    new_models,
    overhead,
    preference_claims,
    preference_controls,
    preference_study,
    savings,
    transfer,
)
from rb_support.studies.preference_study import trained, win_rates

SMALL = {"n_estimators": 3, "max_iter": 3}  # of trees: what is tested is that tables go through
PLAN = labels.fixed_plan()
FEW_LABELS = PLAN.model_copy(
    update={
        "labels": (10,),
        "draws": 1,
        "candidates": {
            name: each.model_copy(
                update={"settings": {key: SMALL.get(key, value) for key, value in each.settings.items()}}
            )
            for name, each in PLAN.candidates.items()
        },
    }
)


def table(quality, *, cost=None, prompts=None, datasets="support", names="abcdefgh"):
    """An own table of (n, m) scores."""
    quality = np.asarray(quality, dtype=float)
    n, m = quality.shape
    frame = pd.DataFrame({"sample_id": [f"{i:04d}" for i in range(n)], "dataset": datasets, "task": "t"})
    frame["prompt"] = prompts or [f"What is {i} plus {i}?" for i in range(n)]
    price = np.tile(np.arange(m, 0, -1) / 1000.0, (n, 1)) if cost is None else np.asarray(cost, dtype=float)
    return Outcomes(frame, quality, price, tuple(names[:m]), Origin("own", "mine.csv"))


def drawn(n=60, m=3, seed=0):
    return np.random.default_rng(seed).random((n, m)) < np.linspace(0.9, 0.3, m)


def own(outcomes, strong="", weak=""):
    return own_experiment(outcomes, 1500, strong, weak, np.random.default_rng(0))


class Guess:
    """A win model as CONTRIBUTING describes it: any object with fit, win_rate and reads."""

    reads = "texts"

    def fit(self, battles, X):
        assert battles.models == ("strong", "weak") and len(X) == len(battles)
        self.longest = max(map(len, X))
        return self

    def win_rate(self, X):
        return np.array([len(text) / (1 + self.longest) for text in X])


def walk(outcomes):
    """What both notebooks call, with routers that take no training; returns their tables."""
    experiment = own(outcomes)
    rng, benchmarks = np.random.default_rng(0), experiment.benchmarks
    prompts = preference_study.distinct_prompts([*benchmarks.values(), *experiment.training.values()])
    X = pd.DataFrame(rng.normal(size=(len(prompts), 4)), index=prompts)
    routers = trained(experiment, {"SW ranking": SWRanking(), "Guess": Guess()}, X, experiment.training)
    scores = transfer.score_tables(experiment)
    others = transfer.other_pairs(experiment, scores)
    maps = {name: transfer.pairs_of(part) for name, part in scores.items()}
    spots = {f"all ({name})": next(iter(found.values())) for name, found in maps.items() if found}
    trainings = {name: transfer.augmented(experiment, name) for name in benchmarks}
    rates = win_rates(routers, {**benchmarks, **others, **spots}, X, trainings=trainings)
    on = preference_study.on_tables
    judged = on(rates, benchmarks)
    prices = savings.own_prices(experiment.outcomes, {**benchmarks, **others})
    curve = labels.learning_curve(experiment.pool, X, plan=FEW_LABELS)
    found = {
        "results": preference_study.results(judged, rng=rng, draws=5),
        "curves": preference_study.curve_table(judged),
        "labels": curve.frame[["apgr"]],
        "leads": labels.compared(curve, sizes=curve.sizes, rng=rng, draws=5, plan=FEW_LABELS),
        "ceilings": labels.ceilings(curve, rng=rng, draws=5),
        "pairs": transfer.pair_table(others),
        "atlas": transfer.transfer_maps(on(rates, spots), maps),
        "shift": transfer.pair_differences(rates, benchmarks, others, rng=rng, draws=5),
        "savings": savings.savings(judged, prices=prices, rng=rng, draws=5),
        "halves": savings.calibration_table(rates, next(iter(benchmarks)), list(benchmarks)[-1], rng=rng),
    }
    tables = {**benchmarks, **others}
    found4 = transfer.withheld(preference_study.results(on(rates, tables), rng=rng, draws=5), tables)
    transfer.in_words(found4, benchmarks)
    known = audit.chances(
        {name: pair for name, pair in tables.items() if transfer.testable(pair)}, rng=rng, draws=20
    )
    numbers = audit.of_rates(on(rates, tables))
    apart = audit.differences(numbers, known)
    found |= {
        "audit": audit.audit(numbers, known),
        "bands": audit.bands(known),
        "apart": audit.counted(apart),
    }
    audit_figure(found["audit"], apart)
    audit.augmentation(apart), audit.agreement(rates)
    evidence = transfer.evidence(
        rates,
        others,
        found["shift"],
        transfer.met_in_training(experiment, others),
        rng=rng,
        draws=5,
    )
    sizes = {name: len(part) for name, part in benchmarks.items()}
    saved = savings.evidence(found["savings"], sizes)
    assert len(check(claims_of("07b_savings_and_audit"), saved, "own")) > 20
    evidence |= {"most-pairs": transfer.most_pairs(found["atlas"])}
    several = new_models.tables(experiment, scores)
    gained = {
        name: new_models.leave_one_out(one, rng.normal(size=(len(one.frame), 4)), rng=rng, splits=1, draws=1)
        for name, one in several.items()
    }
    kept = new_models.summary(gained)
    new_model_figure(kept)
    plt.close("all")
    evidence |= {"new-models": new_models.evidence(kept, {n: len(o.frame) for n, o in several.items()})}
    assert len(check(claims_of("07a_model_pair_transfer"), evidence, "own")) == 6
    first, training = next(iter(benchmarks)), next(iter(experiment.training))
    candidates, everything = {"SW ranking": SWRanking(), "Guess": Guess()}, {"SW ranking": 2}
    kept, close = preference_controls.clean(experiment, X)
    assert set(kept.benchmarks) == set(benchmarks) and len(close) == len(benchmarks)
    rules = preference_controls.yardsticks(benchmarks, X)
    null = preference_controls.shuffled(experiment, candidates, X, runs=everything)
    floors = preference_controls.floors(null, judged)
    held = preference_controls.held_out_battles(experiment, candidates, X)
    losses = preference_controls.log_losses(held, rng=rng, draws=5)
    mixed = category_study.mixes(experiment, X, training, first, [0.0, 0.5])
    table5, near = preference_claims.similarities(experiment, X, rng=rng, draws=5)
    told = near | preference_claims.evidence(experiment, [*judged, *rules], floors, rng=rng, draws=5)
    told["held-out"] = preference_claims.held_out_gains(losses)
    told["tiers"] = preference_claims.same_tiers(preference_claims.tier_table(experiment.training[training]))
    check(claims_of("06_preference_routers"), told, "own")
    found |= {
        "controlled": preference_study.results([*judged, *rules], rng=rng, draws=5, floors=floors),
        "bins": preference_controls.reliability(held),
        "losses": losses,
        "mix": category_study.mix_table(mixed),
        "categories": category_study.categories(judged, training, first),
        "orders": category_study.orders(judged, training, first),
        "table5": table5,
    }
    preference_study.side_by_side(found["controlled"])
    transfer.summary(found["atlas"])
    return experiment, found


@given(outcome_tables(min_rows=1, max_rows=40, max_models=12))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@example(table([[1, 0]]))
@example(table([[1, 0], [0, 1]] * 20))
@example(table([[0.1 + 0.2, 0.3]] * 40))
@example(table(np.ones((40, 1))))
def test_any_own_table_goes_through_what_the_notebooks_call(outcomes):
    if outcomes.frame["prompt"].str.strip().eq("").all():
        with pytest.raises(TableError, match="no row"):
            own(outcomes)
        return
    experiment, found = walk(outcomes)
    for frame in found.values():
        assert not np.isinf(frame.select_dtypes("number").to_numpy(dtype=float)).any()
    for name, part in experiment.benchmarks.items():
        rows = found["results"][found["results"]["benchmark"] == name]
        known = has_gap(part.strong, part.weak)
        assert rows["apgr"].notna().eq(known).all()
        assert any("no gap" in said and name in said for said in experiment.limits) != known
    if not any("too few different prompts" in said for said in experiment.limits):
        judged = preference_study.distinct_prompts(experiment.benchmarks.values())
        assert not set(judged) & set(preference_study.distinct_prompts(experiment.training.values()))


def test_what_cannot_be_shown_is_said():
    assert own(table(drawn())).limits == []
    (said,) = [s for s in own(table(np.ones((9, 1)))).limits if "only model" in s]
    assert said == "a is the only model and stands on both sides: add a model's columns to route to."
    (said,) = own(table(drawn(), prompts=["Who is there?"] * 60)).limits
    assert said.startswith("support: too few different prompts to keep golden labels apart.")
    (said,) = own(table([[1, 0.5, 0]] * 60)).limits
    assert said == "D_gold: all battles end alike, so nothing tells one query from another."
    gap, _ = own(table([[1, 1]] * 60)).limits
    assert gap.startswith("support: a and b score the same on average. There is no gap to recover, so APGR")
    mixed = own(table(drawn(), prompts=[" ", *(f"Say {i}" for i in range(59))]))
    assert mixed.limits == ["1 of 60 rows have a blank prompt and are left out."]


def test_prompts_without_words_are_told_apart_by_their_characters():
    X = preference_study.embed_prompts(
        own(table(drawn(), prompts=["😀" * (1 + i % 7) + "🚀" * (i // 7) for i in range(60)])),
        "tfidf",
        progress=False,
    )
    assert len(np.unique(X.to_numpy(), axis=0)) > 50


def test_prompts_of_one_text_cannot_be_told_apart():
    prompts = ["Who is there?"] * 60
    experiment = own(table(drawn(), prompts=prompts))
    with pytest.warns(UserWarning, match="all prompts get the same vector"):
        X = preference_study.embed_prompts(experiment, "tfidf", progress=False)
    assert X.to_numpy().sum() == 0 and X.loc[prompts].to_numpy().shape[1] == 1
    assert overhead.encoder("tfidf", prompts[:1])(["Who?", "😀"]).shape == (2, 1)
    routers = trained(experiment, {"SW": SWRanking()}, X, experiment.training)
    rates = win_rates(routers, experiment.benchmarks, X)
    assert rates[0].rate == pytest.approx(rates[0].rate[0])


def test_datasets_that_are_no_benchmark_are_counted():
    names = ["a"] * 40 + ["b"] * 50 + ["c"] * 60 + ["d"] * 70 + ["e"] * 5
    experiment = own(table(drawn(225), datasets=names))
    assert list(experiment.benchmarks) == ["b", "c", "d"]
    assert experiment.limits[0].startswith("45 of 225 rows are in no benchmark: those are the 3 datasets")
    assert list(own(table(drawn(9), datasets=list("abcabcabc"))).benchmarks) == ["all rows"]


def test_the_pair_is_the_one_asked_for(tmp_path):
    outcomes = table(np.tile([0.9, 0.5, 0.1], (60, 1)), names=["big", "mid", "small"])
    path = tmp_path / "mine.csv"
    outcomes.to_wide().to_csv(path, index=False)
    for strong, weak, pair in (
        ("", "", ("big", "small")),
        ("mid", "", ("mid", "small")),
        ("", "big", ("mid", "big")),
        ("small", "mid", ("small", "mid")),
    ):
        experiment = load_experiment(str(path), strong=strong, weak=weak)
        assert (experiment.strong, experiment.weak) == pair
        assert {(p.strong_model, p.weak_model) for p in experiment.benchmarks.values()} == {pair}
    with pytest.raises(TableError, match=r"'medium' is not in the table.*known: big, mid, small"):
        load_experiment(str(path), weak="medium")
    with pytest.raises(TableError, match=r"strong and weak are both 'mid'; take another: big, small"):
        load_experiment(str(path), strong="mid", weak="mid")
    with pytest.raises(ValueError, match="gold is 0; hold out at least one"):
        load_experiment(str(path), gold=0)


def test_savings_are_at_the_tables_own_prices():
    """The weak model's calls cost too: at half of the gap not half of the calls over the router's."""
    gain = np.zeros(100)
    gain[:40] = 1
    outcomes = table(np.column_stack([gain, np.zeros(100)]), cost=np.tile([0.012, 0.001], (100, 1)))
    (pair,) = own(outcomes).benchmarks.values()
    prices = savings.own_prices(outcomes, {"support": pair})
    assert prices["support"] == pytest.approx((12_000, 1_000))
    one = preference_study.WinRates("D_gold", "R", "support", pair, pair.strong)
    found = savings.savings([one], prices=prices, rng=np.random.default_rng(0), draws=5, targets=(0.5,))
    share = pair.strong.mean() / 2
    assert found["share"].item() == pytest.approx(share)
    exact = (0.5 * 12 + 0.5) / (share * 12 + 1 - share)
    assert found["saving_full"].item() == pytest.approx(exact)
    free = savings.savings([one], prices={"support": (0, 0)}, rng=np.random.default_rng(0), draws=5)
    assert free["saving_full"].isna().all() and free["saving"].notna().all()


def test_equal_costs_save_nothing():
    experiment = own(table(drawn(), cost=np.full((60, 3), 0.002)))
    prices = savings.own_prices(experiment.outcomes, experiment.benchmarks)
    one = preference_study.WinRates("D", "R", "support", experiment.benchmarks["support"], np.arange(36.0))
    found = savings.savings([one], prices=prices, rng=np.random.default_rng(0), draws=5)
    assert found["saving_full"].tolist() == pytest.approx([1, 1])


def test_many_models_are_thinned_out_by_their_gaps():
    outcomes = table(np.linspace(1, 0, 25) * np.ones((40, 25)), names=[f"model-{i:02d}" for i in range(25)])
    scores = transfer.score_tables(own(outcomes))["support"]
    with pytest.warns(UserWarning, match="300 pairs of models have a gap; one in 5 is taken"):
        whole, part = transfer.pairs_of(scores, most=10_000), transfer.pairs_of(scores, most=60)
    assert len(whole) == 25 * 24 / 2 and 55 <= len(part) <= 60
    gaps = [pair.strong.mean() - pair.weak.mean() for pair in part.values()]
    assert np.diff(gaps).max() < 1e-9 and gaps[-1] < 0.05 < 0.9 < gaps[0]


def test_models_of_one_short_name_are_still_two():
    names = ("gpt-4-1106-preview", "GPT-4", "small")
    pairs = transfer.pairs_of(transfer.score_tables(own(table([[1, 0.9, 0]] * 40, names=names)))["support"])
    assert {(p.strong_model, p.weak_model) for p in pairs.values()} == {
        names[:2], names[1:], (names[0], names[2])
    }  # fmt: skip


def test_a_win_model_of_ones_own_is_an_object_in_the_dict():
    """CONTRIBUTING, "Add a win model"."""
    experiment = own(table(drawn(80, 2)))
    candidates = {**preference_study.candidates(), "Guess": Guess()}
    del candidates["BERT"], candidates["Causal LM"], candidates["Matrix factorization"]
    prompts = preference_study.distinct_prompts([*experiment.benchmarks.values(), experiment.gold])
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(len(prompts), 3)), index=prompts)
    routers = trained(experiment, candidates, X, experiment.training)
    rates = win_rates(routers, experiment.benchmarks, X)
    found = preference_study.results(rates, rng=np.random.default_rng(0), draws=5)
    assert found["router"].tolist() == ["Random", "SW ranking", "Guess"]
    assert found["apgr_low"].notna().all()
    assert not hasattr(candidates["Guess"], "longest"), "copies are trained"


@dataclass(kw_only=True, eq=False)
class Mean(WinModel):
    """One that trains: its weights are the share of wins. It reads texts, but trains in no time."""

    reads = "texts"

    def fit(self, battles, X):
        self.identity, self.history = self.identify(battles, X), [[1, 0.0, 0.0]]
        self.share = torch.tensor([battles.share.mean()])
        return self

    def win_rate(self, X):
        return np.full(len(X), self.share.item())

    def _tensors(self):
        return {"share": self.share}

    def _restore(self, tensors, record):
        self.share = tensors["share"]


def test_a_win_model_that_trains_gets_safe_files(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    experiment = own(table(drawn(80, 2)))
    (first,) = trained(experiment, {"M": Mean()}, pd.DataFrame(), experiment.training).values()
    assert list(tmp_path.glob("win_models/Mean-*/model.safetensors"))
    monkeypatch.setattr(Mean, "fit", lambda *_: pytest.fail("trained again"))
    (again,) = trained(experiment, {"M": Mean()}, pd.DataFrame(), experiment.training).values()
    assert again.share == first.share > 0.5


def test_a_win_model_that_asks_for_tiers_is_told_which():
    class Tiered(Guess):
        naming = "tiers"

        def fit(self, battles, X):
            assert (self.strong, self.weak) == ("strong", "tier 1") == battles.models
            return self

    experiment = own(table(drawn(80, 2)))
    (router,) = trained(experiment, {"T": Tiered()}, pd.DataFrame(), experiment.training).values()
    assert router.strong == "strong"

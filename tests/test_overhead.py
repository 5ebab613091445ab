"""What routing takes: the encoder counted where it is needed, and the paper's own prices."""

import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scores_made import scores_of

from rb_support import embed
from rb_support.studies import overhead, transfer


class Slow:
    """A router whose requests take a known time."""

    def __init__(self, reads, seconds):
        self.reads, self.seconds, self.seen = reads, seconds, []

    def win_rate(self, X):
        time.sleep(self.seconds * len(X))
        self.seen.append((type(X[0]), len(X)))
        return np.full(len(X), 0.5)


def test_overhead_counts_the_encoder_where_a_router_needs_it():
    def encode(texts):
        time.sleep(0.004 * len(texts))
        return np.zeros((len(texts), 3), dtype=np.float32)

    routers = {"vectors": Slow("vectors", 0.001), "texts": Slow("texts", 0.001)}
    table = overhead.measure(routers, ["a", "b", "c", "d"], encode, usd_per_hour=0.36, singles=2, repeats=1)
    assert table["router"].tolist() == [n for n in (overhead.ENCODER, "vectors", "texts") for _ in range(2)]
    assert table["way"].tolist() == [overhead.SINGLE, overhead.BATCH] * 3
    assert table["prompts"].tolist() == [2, 4] * 3
    speed = table.groupby("router")["requests_per_second"].max()
    # A sleep may last longer than asked, never shorter.
    assert speed["vectors"] <= 1 / 0.005
    assert speed["texts"] <= 1 / 0.001
    assert speed["vectors"] < speed["texts"]
    assert routers["texts"].seen == [(str, 1)] * 3 + [(str, 4)]
    assert {kind for kind, _ in routers["vectors"].seen} == {np.ndarray}
    assert (table["usd_per_million_requests"] * table["requests_per_second"]).to_numpy() == pytest.approx(100)


def test_overhead_refuses_too_few_prompts():
    with pytest.raises(ValueError, match="8 prompts are to be routed one at a time, but there are 1"):
        overhead.measure({}, ["one"], lambda texts: np.zeros((len(texts), 1), np.float32), usd_per_hour=1)
    with pytest.raises(ValueError, match="requests_per_second is 0"):
        overhead.usd_per_million(0, 1)


def test_overhead_of_the_papers_machines():
    """The two classifiers cost what their speed says; those that read OpenAI's vectors 1.90 more."""
    found = overhead.recomputed(24.7, 359)
    extra = found["difference"]
    assert extra[["BERT", "Causal LM"]].tolist() == pytest.approx([0, 0], abs=0.01)
    assert extra[["SW ranking", "Matrix factorization"]].tolist() == pytest.approx([1.9, 1.9], abs=0.02)
    assert overhead.embedding_cost() == pytest.approx(1.9)
    assert found.loc["SW ranking", "share_of_gpt4"] == pytest.approx(39.26 / (24.7 * 359))


def test_speeds_here_stand_beside_the_papers():
    measured = pd.DataFrame(
        {"router": [overhead.ENCODER, "BERT"], "way": overhead.BATCH, "usd_per_million_requests": [2.0, 1.0]}
    )
    found = overhead.beside_paper(measured, 1000, "share")
    assert found["share"].tolist() == [0.002, 0.001]
    assert np.isnan(found["paper_requests_per_second"][0]) and found["paper_usd"][1] == 3.19


def test_only_routers_of_one_training_set_are_timed():
    experiment, pair = SimpleNamespace(training={}), scores_of([[1, 0]]).pair("a", "b")
    on = SimpleNamespace(benchmarks={"first": pair, "second": pair})
    routers = {("D", "a"): Slow("texts", 0), ("other", "b"): Slow("texts", 0)}
    routed = transfer.Routed(pd.DataFrame(index=["who?"]), {}, routers, [])
    table = overhead.on_this_machine(experiment, routed, on, "D", "tfidf", singles=1)
    assert set(table["router"]) == {overhead.ENCODER, "a"}
    assert table.loc[table["way"] == overhead.BATCH, "prompts"].tolist() == [len(on.benchmarks)] * 2


def test_the_encoder_for_timing_is_that_of_embed_without_its_bar(capfd):
    embed._network.cache_clear()
    vectors = overhead.encoder()(["how far is the moon"])
    assert capfd.readouterr().err == ""
    assert (vectors == embed.encoder()(["how far is the moon"])).all()

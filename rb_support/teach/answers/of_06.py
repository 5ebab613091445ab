"""What exercises of notebook 06 compute; `06.toml` says for what, and all else about them."""

# ruff: noqa: D103

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from rb_support import pairs
from rb_support.frontier import exceeds
from rb_support.outcomes import PairScores
from rb_support.preference import SWRanking
from rb_support.studies import labels
from rb_support.teach.exercises import read

RATES = np.array([0.9, 0.8, 0.6, 0.5, 0.3])
"""Win rates of the five queries of exercise 2."""
STRONG, WEAK = np.array([1, 1, 1, 0, 1]), np.array([0, 1, 0, 0, 1])
"""What the strong and the weak model score on them."""

TOPICS = {"chat": (1.0, 0.0), "maths": (0.0, 1.0)}
"""Embeddings of the two topics of exercise 4."""
WON = {"strong": "model_a", "tie": "tie", "weak": "model_b"}


def recovered() -> list[float]:
    """PGR at a threshold of 0.7, CPT(50%), and the largest threshold that recovers the whole gap."""
    low, high = WEAK.mean(), STRONG.mean()
    shares, scores = pairs.threshold_sweep(RATES, STRONG, WEAK)
    score = np.where(RATES >= 0.7, STRONG, WEAK).mean()
    whole = next(rate for rate in RATES if np.where(rate <= RATES, STRONG, WEAK).mean() >= high)
    at_threshold, half = pairs.pgr(score, low, high), pairs.cpt(shares, scores, low, high, 0.5)
    assert at_threshold is not None and half is not None
    return [float(at_threshold), half, float(whole)]


def win_rate(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    """SW ranking between two names: the weighted mean of the wins."""
    return float(np.average(share, weights=gamma ** (1 + similarity / similarity.max())))


def cases(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Similarities (the largest above 0), shares and gamma; a lone battle, equal ones and a tie among them."""
    edges = [([0.4], [1.0], 10.0), ([0.2, 0.2], [1.0, 0.0], 10.0), ([0.5, 0.0, -0.5], [1.0, 0.5, 0.0], 10.0)]
    yield from ((np.array(near), np.array(share), gamma) for near, share, gamma in edges)
    for n, gamma in ((5, 2.0), (20, 10.0), (40, 100.0)):
        yield rng.uniform(-0.2, 0.9, n).round(2), rng.choice([0.0, 0.5, 1.0], n), gamma


def unscaled(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return float(np.average(share, weights=gamma ** (1 + similarity)))


def all_alike(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return float(share.mean())


def far_ones_most(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return win_rate(similarity, share, 1 / gamma)


def nearest_alone(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return float(share[np.argmax(similarity)])


def natural(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return win_rate(similarity, share, math.e)


def sum_of_wins(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return float(gamma ** (1 + similarity / similarity.max()) @ share)


def upside_down(battles: Iterable[tuple[str, str]]) -> str | None:
    """What a set of battles lacks that no weak model won, and from which SW ranking still learns the wrong way round.

    It is judged on four queries of each topic: in chat both models are right, in mathematics only the strong one.
    """
    rows = [(str(topic), str(winner)) for topic, winner in battles]
    unknown = {topic for topic, _ in rows} - set(TOPICS) | {winner for _, winner in rows} - set(WON)
    if unknown:
        return f"Topics are {', '.join(TOPICS)}, winners {', '.join(WON)}; {', '.join(sorted(unknown))} is neither."
    if len(rows) < 4:
        return f"These are {len(rows)} battles: give at least four."
    if any(winner == "weak" for _, winner in rows):
        return "The weak model wins one of these battles: it must be possible without."
    fought = labels.toy_battles([WON[winner] for _, winner in rows])
    router = SWRanking().fit(fought, [TOPICS[topic] for topic, _ in rows])
    topics = ["chat"] * 4 + ["maths"] * 4
    columns = {"sample_id": list("abcdefgh"), "dataset": "toy", "task": topics, "prompt": topics}
    judged = PairScores(pd.DataFrame(columns), np.ones(8), np.repeat([1.0, 0.0], 4), "strong", "weak")
    rates = router.win_rate([TOPICS[topic] for topic in topics])
    area = labels.area(rates.round(9), judged)
    if not exceeds(0.5, area):
        return f"Win rates are {rates[0]:.2f} in chat and {rates[-1]:.2f} in mathematics, so APGR is {area:.2f}: not below 0.5."
    return None


EXERCISES = read("06")

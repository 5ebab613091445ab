"""Exercises of notebook 06."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from rb_support import pairs
from rb_support.frontier import exceeds
from rb_support.outcomes import PairScores
from rb_support.preference import SWRanking
from rb_support.studies import labels
from rb_support.teach.exercises import Design, Exercise, Slip, Task, Value

RATES = np.array([0.9, 0.8, 0.6, 0.5, 0.3])
"""Win rates of the five queries of exercise 2."""
STRONG, WEAK = np.array([1, 1, 1, 0, 1]), np.array([0, 1, 0, 0, 1])
"""What the strong and the weak model score on them."""

TOPICS = {"chat": (1.0, 0.0), "maths": (0.0, 1.0)}
"""Embeddings of the two topics of exercise 4."""
WON = {"strong": "model_a", "tie": "tie", "weak": "model_b"}


def _recovered() -> list[float]:
    """PGR at a threshold of 0.7, CPT(50%), and the largest threshold that recovers the whole gap."""
    low, high = WEAK.mean(), STRONG.mean()
    shares, scores = pairs.threshold_sweep(RATES, STRONG, WEAK)
    score = np.where(RATES >= 0.7, STRONG, WEAK).mean()
    whole = next(rate for rate in RATES if np.where(rate <= RATES, STRONG, WEAK).mean() >= high)
    at_threshold, half = pairs.pgr(score, low, high), pairs.cpt(shares, scores, low, high, 0.5)
    assert at_threshold is not None and half is not None
    return [float(at_threshold), half, float(whole)]


def _win_rate(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    """SW ranking between two names: the weighted mean of the wins."""
    weight = gamma ** (1 + similarity / similarity.max())
    return float(weight @ share / weight.sum())


def _unscaled(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    weight = gamma ** (1 + similarity)
    return float(weight @ share / weight.sum())


def _natural(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    weight = np.exp(1 + similarity / similarity.max())
    return float(weight @ share / weight.sum())


def _reversed(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    weight = gamma ** -(1 + similarity / similarity.max())
    return float(weight @ share / weight.sum())


def _sum_of_wins(similarity: np.ndarray, share: np.ndarray, gamma: float) -> float:
    return float(gamma ** (1 + similarity / similarity.max()) @ share)


def _battles(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Similarities (the largest above 0), shares and gamma; a lone battle, equal ones and a tie among them."""
    edges = [([0.4], [1.0], 10.0), ([0.2, 0.2], [1.0, 0.0], 10.0), ([0.5, 0.0, -0.5], [1.0, 0.5, 0.0], 10.0)]
    known = [(np.array(near), np.array(share), gamma) for near, share, gamma in edges]
    drawn = [
        (rng.uniform(-0.2, 0.9, n).round(2), rng.choice([0.0, 0.5, 1.0], n), gamma)
        for n, gamma in ((5, 2.0), (20, 10.0), (40, 100.0))
    ]
    return known + drawn


def _upside_down(battles: Iterable[tuple[str, str]]) -> str | None:
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


EXERCISES: dict[str, Exercise] = {
    "06.1": Value(
        answer=lambda: _win_rate(np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0]), 10.0),
        hints=(
            "Weigh every battle first: the exponent is 1 + S, and S is 1 for the nearest and 0 for the others.",
            "The weights are 100, 10 and 10.",
            "Between two names the win rate is the weight of the battles won over the weight of all.",
        ),
        slips=(
            Slip(1 / 3, "That counts every battle alike: the near one weighs more."),
            Slip(1.0, "That listens to the nearest battle alone; the other two count as well, if less."),
            Slip(1 / 6, "That is the weak model's win rate."),
            Slip(100 / 110, "One of the two lost battles is missing."),
            Slip(100.0, "That is a weight; the win rate is a share of all weight."),
            Slip(
                np.exp(2) / (np.exp(2) + 2 * np.exp(1)),
                "That has e for a base; the weights are powers of gamma = 10.",
            ),
        ),
        why="Weights of 100, 10 and 10 make 100 / 120. The 1 in the exponent cancels: 10, 1 and 1 give the same.",
    ),
    "06.2": Value(
        answer=_recovered,
        hints=(
            "Call the strong model wherever the win rate is at least the threshold, and average what comes back.",
            "The weak model alone scores 0.4, the strong one 0.8: PGR is the score less 0.4, over 0.4.",
            "At 0.7 two queries go to the strong model and the mean is 0.6. Now add calls one by one from none.",
        ),
        slips=(
            Slip(
                [0.6, 0.2, 0.6], "The first is a score; PGR is the part of the gap from 0.4 to 0.8 won back."
            ),
            Slip(
                [0.4, 0.2, 0.6], "The first is the share of strong calls at 0.7, not yet what they win back."
            ),
            Slip(
                [0.5, 0.4, 0.6],
                "The second works, but fewer calls win back as much: look at the first query.",
            ),
            Slip([0.5, 1, 0.6], "CPT is a share of the queries, not their number."),
            Slip(
                [0.5, 0.2, 0.9],
                "The third wins back half of the gap; lower the threshold until all is won back.",
            ),
            Slip([0.5, 0.2, 0.3], "The third calls the strong model always; a higher threshold does it too."),
        ),
        why="The second query costs a call and wins nothing: both models are right on it.",
    ),
    "06.3": Task(
        reference=_win_rate,
        cases=_battles,
        named=("similarity", "share", "gamma"),
        source="preference.sw, where one sparse product does it for many queries and names",
        hints=(
            "Two steps: a weight for each battle, then a weighted mean.",
            "S is the similarity over the largest one; the weight is gamma to the power of 1 + S.",
            "The weights times the shares, summed, over the sum of the weights.",
        ),
        slips=(
            Slip(_unscaled, "S is missing its scale: similarities are divided by the largest the query has."),
            Slip(
                lambda similarity, share, gamma: float(share.mean()),
                "That weighs all battles alike: every query gets the same answer.",
            ),
            Slip(_reversed, "The exponent has the other sign: here the far battles weigh most."),
            Slip(
                lambda similarity, share, gamma: float(share[np.argmax(similarity)]),
                "That is the nearest battle alone.",
            ),
            Slip(_natural, "The base of the weights is gamma, not e."),
            Slip(_sum_of_wins, "That is the weight of the wins; divide by the weight of all battles."),
        ),
        why="With more than two names the same weights go into a Bradley-Terry model, which has no such closed form.",
    ),
    "06.4": Design(
        flaw=_upside_down,
        example='[("chat", "strong"), ("chat", "strong"), ("maths", "tie"), ("maths", "tie")]: true labels, of another difference',
        hints=(
            "The router sends first the topic whose battles the strong model won more often.",
            "It must send chat first, though only mathematics gains from it.",
            "Let chat be won on style, and let mathematics end in ties.",
        ),
        slips=(
            Slip([("chat", "strong")] * 2 + [("maths", "strong")] * 2),
            Slip([("chat", "tie")] * 2 + [("maths", "strong")] * 2),
            Slip([("chat", "strong")] * 2 + [("maths", "weak")] * 2),
            Slip([("chat", "strong"), ("maths", "tie")]),
            Slip([("chat", "strong")] * 4),
            Slip([("poetry", "strong")] * 4),
        ),
        why="No label in it is false. They are about another difference than the one that is judged.",
    ),
}

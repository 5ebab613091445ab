"""Rows for the exercise of notebook 03 that depends on data."""

from rb_support.catalog import MMLU
from rb_support.simulate import simulate_outcomes


def rows():
    train, test = simulate_outcomes(1500, seed=0).of(MMLU).split(seed=0)
    return dict(train=train, test=test)


GIVEN = {"03.4": rows}

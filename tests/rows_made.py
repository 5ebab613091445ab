"""Rows of a sweep as `fits.measure` gives them, made without fitting anything: known leads plus noise."""

import numpy as np
import pandas as pd

from rb_support.stats import bootstrap_weights


def rows_made(
    leads,
    tables=("one", "two", "three"),
    *,
    seeds=10,
    n=200,
    spread=0.1,
    shared=0.1,
    split=0.005,
    draws=200,
    shuffled=True,
    rng=None,
):
    """Rows whose true leads are known.

    Every prompt of a table has an effect on each router's lead, one that is the router's own and one that
    all share; a split judges on three in ten of the prompts and adds noise of its own.

    Parameters
    ----------
    leads : router -> true lead, or a function of a table.
    spread, shared, split : standard deviations of a prompt's own and shared effects, and of a split.
    """
    rng, rows = rng or np.random.default_rng(0), []
    for table in tables:
        block = rng.permutation(n) % min(n, 128)
        member = np.eye(block.max() + 1)[block]
        test = np.array([rng.permutation(n) < 0.3 * n for _ in range(seeds)], dtype=float)
        drawn = bootstrap_weights(member.shape[1], draws, np.random.default_rng(0)).astype(float)
        counts, everyone = test @ member, rng.normal(0, shared, n)

        def judged(effects, noise, test=test, member=member, drawn=drawn, counts=counts):
            totals = (test * effects) @ member
            drew = np.maximum(drawn @ counts.T, 1)
            return totals.sum(1) / counts.sum(1) + noise, drawn @ totals.T / drew + noise

        _, gaps = judged(0.2 + 0 * everyone, 0.0)
        for router, true in leads.items():
            for labels, mean in (("true", true(table) if callable(true) else true), ("shuffled", 0.0))[
                : 1 + shuffled
            ]:
                effects = mean + everyone + rng.normal(0, spread, n)
                value, many = judged(effects, rng.normal(0, split, seeds))
                for seed in range(seeds):
                    rows.append(
                        dict(
                            table=table,
                            router=router,
                            seed=seed,
                            embedding="minilm",
                            labels=labels,
                            share=1.0,
                            error="",
                            n_train=n - int(0.3 * n),
                            n_test=int(0.3 * n),
                            constant=False,
                            aiq_honest=0.7 + value[seed],
                            lead=value[seed],
                            placebo=-0.01,
                            placebo_high=0.001,
                            quality=0.6 + value[seed],
                            best_quality=0.6,
                            oracle_quality=0.8,
                            lead_draws=many[:, seed],
                            gain_draws=many[:, seed],
                            gap_draws=gaps[:, seed],
                        )
                    )
    return pd.DataFrame(rows)

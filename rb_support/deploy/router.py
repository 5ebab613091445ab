"""A trained router as a thing one can save, load and ask: which model for this prompt, how good, how dear."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from rb_support.cache import digest, written_whole
from rb_support.deploy.battle_routers import BattleRouter, FactorizationRouter, SWRouter
from rb_support.deploy.calibration import Goal, Setting, calibrate
from rb_support.deploy.drift import Drift, Reference
from rb_support.deploy.worth import Worth, worth
from rb_support.embed import BUNDLED, LEARNT, embed
from rb_support.outcomes import Battles, Origin, Outcomes, PartialOutcomes, TableError
from rb_support.outcomes.splits import same_text
from rb_support.outcomes.table import USD
from rb_support.routers import KNNRouter, MLPRouter, PredictiveRouter, RidgeRouter, decide, mean_cost

Array = NDArray[np.float64]

Kind = Literal["ridge", "knn", "mlp", "sw", "factorization"]
MADE: Mapping[Kind, Any] = {
    "ridge": RidgeRouter,
    "knn": KNNRouter,
    "mlp": MLPRouter,
    "sw": SWRouter,
    "factorization": FactorizationRouter,
}
"""Routers that can be saved, by the name that a card gives them."""

CARD, WEIGHTS, HELD_OUT = "card.json", "router.skops", "held_out.parquet"
_TRUSTED = [
    *(f"{made.__module__}.{made.__qualname__}" for made in MADE.values()),
    "rb_support.routers.knn._Neighbours",
    "rb_support.routers.nearest.LargeIndex",
    "rb_support.routers.mlp.Setting",
    "rb_support.routers.ridge._Ridge",
    "rb_support.deploy.battle_routers.Fights",
]
"""Types that a file of weights may hold beside arrays, numbers and scikit-learn's own."""


class RouterFileError(ValueError):
    """A folder holds no router that can be used; the message says why and what to do."""


@dataclass(frozen=True)
class Learnt:
    """What a router was made from.

    Attributes
    ----------
    table_sha256 : digest of prompts, scores and costs.
    rows, answers : of the table, an answer being a cell with a score and a cost.
    training_rows, training_answers : those it learnt from.
    held_out_rows : complete rows it is judged on.
    battles : voters' battles it learnt from besides; `battles_left_out` are on held-out prompts.
    """

    table_sha256: str
    rows: int
    answers: int
    training_rows: int
    training_answers: int
    held_out_rows: int
    battles: int = 0
    battles_left_out: int = 0


@dataclass(frozen=True, eq=False)
class DeployedRouter:
    """A router fitted on a table, and what it is set to.

    Attributes
    ----------
    kind : a key of `MADE`.
    predictor : the fitted router.
    embedding : text encoder of the prompts, as `rb_support.embed.embed` takes it.
    models : m names.
    mean_cost : (m,) USD per query that a call is expected to cost: the training rows' means.
    held_out : rows that the predictor was not fitted on, for calibration.
    predicted : (n, m) quality that it predicts for them.
    reference : where the held-out prompts lie, for `drift`.
    worth : whether it leads what knows nothing, on the held-out rows.
    learnt : counts of what it was made from.
    origin : of the table.
    goal, setting : what it is calibrated to; None before `calibrate`.
    """

    kind: Kind
    predictor: PredictiveRouter
    embedding: str
    models: tuple[str, ...]
    mean_cost: Array
    held_out: Outcomes
    predicted: Array
    reference: Reference
    worth: Worth
    learnt: Learnt
    origin: Origin
    goal: Goal | None = None
    setting: Setting | None = None

    def calibrate(
        self,
        *,
        budget: float | None = None,
        quality: float | None = None,
        share: float | None = None,
        seed: int = 0,
    ) -> DeployedRouter:
        """The same router, set to keep one goal on new prompts.

        Parameters
        ----------
        budget : mean USD per query not to be exceeded.
        quality : share of the best single model's mean quality to be reached.
        share : share of calls to the dearest model, at most.
        seed : of the halvings and resamples that say what to expect.

        Raises
        ------
        ValueError
            If none or several goals are given.
        """
        goal, rng = Goal(budget, quality, share), np.random.default_rng(seed)
        setting = calibrate(self.predicted, self.mean_cost, self.held_out, goal, rng=rng)
        return replace(self, goal=goal, setting=setting)

    def route(self, prompts: Sequence[str]) -> pd.DataFrame:
        """Which model each prompt goes to.

        Parameters
        ----------
        prompts : n texts.

        Returns
        -------
        (n, 3) frame: model, predicted_quality, expected_usd.

        Raises
        ------
        ValueError
            If the router was never calibrated.
        """
        if self.setting is None:
            raise ValueError("the router is not calibrated; give a budget, a quality or a share first")
        columns = ["model", "predicted_quality", "expected_usd"]
        if not len(prompts):
            return pd.DataFrame(columns=columns)
        predicted = self.predictor.predict(embed(list(prompts), self.embedding, progress=False))
        calls = decide(predicted, self.mean_cost, self.setting.willingness_to_pay)
        models, quality = np.array(self.models, dtype=object)[calls], predicted[np.arange(len(calls)), calls]
        return pd.DataFrame(dict(zip(columns, (models, quality, self.mean_cost[calls]), strict=True)))

    def drift(self, prompts: Sequence[str], *, seed: int = 0) -> Drift:
        """Whether new prompts are like the held-out ones, that is, whether what to expect holds for them.

        Parameters
        ----------
        prompts : texts; equal ones count once.
        seed : of the test's permutations.

        Raises
        ------
        EmbeddingError
            If there is no prompt.
        """
        texts = list(dict.fromkeys(same_text(pd.Series(prompts, dtype=str))))
        return self.reference.drift(embed(texts, self.embedding, progress=False), seed=seed)

    def save(self, folder: str | Path) -> None:
        """Write weights, held-out rows and a card (JSON) into a folder; nothing in them is ever run.

        The card goes last: it holds the others' sha256, so what was cut short is no router.
        """
        import skops.io  # it imports all of scikit-learn, and PyTorch with it

        path = Path(folder)
        with written_whole(path / WEIGHTS) as part:
            held = {"predictor": self.predictor, "predicted": self.predicted}
            skops.io.dump(held | vars(self.reference), part)
        frame = self.held_out.frame[["dataset", "task"]].assign(prompt="")
        frame.insert(0, "sample_id", [str(row) for row in range(len(frame))])
        replace(self.held_out, frame=frame).to_parquet(path / HELD_OUT)
        files = {name: digest(path / name) for name in (WEIGHTS, HELD_OUT)}
        with written_whole(path / CARD) as part:
            part.write_text(json.dumps(self.card() | {"files": files}, indent=1, ensure_ascii=False) + "\n")

    def card(self) -> dict[str, Any]:
        """What a reader should know of it: data, models, prices, setting, what to expect, versions."""
        used = ("numpy", "scikit-learn", "skops", "rb_support")
        return {
            "format": 2,
            "kind": self.kind,
            "embedding": self.embedding,
            "mean_usd_per_query": dict(zip(self.models, self.mean_cost.tolist(), strict=True)),
            "data": asdict(self.origin),
            "learnt": asdict(self.learnt),
            "worth": asdict(self.worth) | {"finding": self.worth.finding},
            "goal": asdict(self.goal) if self.goal else None,
            "setting": asdict(self.setting) if self.setting else None,
            "versions": {name: version(name) for name in used} | {"python": platform.python_version()},
        }


class _Card(BaseModel):
    """What a card must hold to be read."""

    format: Literal[2]
    kind: Kind
    embedding: str
    mean_usd_per_query: dict[str, Annotated[float, Field(ge=0)]]
    data: dict[str, Any]
    learnt: Learnt
    worth: Worth
    goal: Goal | None
    setting: Setting | None
    files: dict[str, str]


def fit(
    table: PartialOutcomes,
    kind: Kind = "ridge",
    *,
    battles: Battles | None = None,
    embedding: str = BUNDLED,
    train_share: float = 0.7,
    seed: int = 0,
) -> DeployedRouter:
    """Fit a router on a table, and keep rows apart that say what it is worth.

    Parameters
    ----------
    table : outcomes of n queries. Where answers are missing, each model is learnt from those it gave; the
        rows kept apart are complete ones.
    kind : a key of `MADE`.
    battles : votes between any models, which the kinds "sw" and "factorization" learn from besides.
    embedding : text encoder; those that learn from the table's prompts (`embed.LEARNT`) cannot be saved.
    train_share : share of each task's rows to fit on.
    seed : of the split and of the networks.

    Raises
    ------
    ValueError
        If the kind or the embedding cannot be used, the kind does not learn from battles, a model answered
        none of the training rows, or the table's costs are no USD.
    TableError
        If the table's prompts cannot be split, no row that is kept apart has an answer of every model, or
        none of its models fights in the battles.
    """
    if kind not in MADE:
        raise ValueError(f"kind is {kind!r}; give one of {', '.join(MADE)}")
    if embedding in LEARNT:
        raise ValueError(f"{embedding!r} learns from the table's prompts and is not saved; take 'minilm'")
    if table.cost_unit != USD:
        raise ValueError(f"costs are in {table.cost_unit}; a saved router weighs USD")
    held_out = table.split(train_share, seed=seed)[1].complete()
    held_texts = same_text(held_out.frame["prompt"])
    # What is held out but lacks an answer teaches, too.
    train = table.take(~pd.Series(same_text(table.frame["prompt"])).isin(held_texts).to_numpy())
    learnt = Learnt(
        table_sha256=_digest(table),
        rows=len(table),
        answers=int(table.answered.sum()),
        training_rows=len(train),
        training_answers=int(train.answered.sum()),
        held_out_rows=len(held_out),
    )
    votes: tuple[Any, ...] = ()
    if battles is not None:
        _refuse_useless(battles, table, kind)
        apart = ~pd.Series(same_text(battles.frame["prompt"])).isin(held_texts).to_numpy()
        learnt = replace(learnt, battles=int(apart.sum()), battles_left_out=int((~apart).sum()))
        battles = battles.take(apart)
        votes = battles, embed(battles.frame["prompt"].tolist(), embedding)
    vectors, kept = (embed(part.frame["prompt"].tolist(), embedding) for part in (train, held_out))
    predictor = MADE[kind](seed=seed).fit(train, vectors, *votes)
    costs, predicted = mean_cost(train), predictor.predict(kept)
    rng = np.random.default_rng(seed)
    return DeployedRouter(
        kind=kind,
        predictor=predictor,
        embedding=embedding,
        models=table.models,
        mean_cost=costs,
        held_out=held_out,
        predicted=predicted,
        reference=Reference.of(vectors, kept[np.unique(held_texts, return_index=True)[1]]),
        worth=worth(predicted, costs, train.points(), held_out, rng),
        learnt=learnt,
        origin=table.origin,
    )


def _refuse_useless(battles: Battles, table: PartialOutcomes, kind: Kind) -> None:
    if not issubclass(MADE[kind], BattleRouter):
        raise ValueError(f"{kind} does not learn from battles; take sw or factorization")
    if not set(battles.models) & set(table.models):
        theirs, ours = (", ".join(names[:5]) for names in (battles.models, table.models))
        name = battles.origin.name
        raise TableError(f"{name}: {theirs} fight, and none is of the table's {ours}; rename them")


def _digest(table: PartialOutcomes) -> str:
    """Hexadecimal sha256 of a table's models, prompts, scores and costs."""
    texts = json.dumps([table.models, table.frame["prompt"].tolist()]).encode()
    return hashlib.sha256(texts + table.quality.tobytes() + table.cost.tobytes()).hexdigest()


def load(folder: str | Path) -> DeployedRouter:
    """Router that `DeployedRouter.save` wrote; it decides as the saved one did, to the last byte.

    Raises
    ------
    RouterFileError
        If the folder holds none, a file is damaged, or the weights hold what no router of ours has.
    """
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    path = Path(folder)
    remedy = "fit and save the router again"
    try:
        card = _Card.model_validate_json((path / CARD).read_bytes())
        for name in (WEIGHTS, HELD_OUT):
            if digest(path / name) != card.files[name]:
                raise RouterFileError(f"{path / name} is damaged: its sha256 is not the card's; {remedy}")
        held = skops.io.load(path / WEIGHTS, trusted=_TRUSTED)
        held_out = Outcomes.from_parquet(path / HELD_OUT)
        origin = Origin.from_record(card.data)
    except OSError as error:
        why = f"{error.strerror}: {error.filename}"
        raise RouterFileError(f"{path} holds no router ({why}); {remedy}") from error
    except UntrustedTypesFoundException as error:
        raise RouterFileError(f"{path / WEIGHTS} holds what no router has ({error}); {remedy}") from error
    except (ValidationError, BadZipFile, KeyError, TypeError, TableError) as error:
        raise RouterFileError(f"{path / CARD} and its files are no router ({error}); {remedy}") from error
    models, shape = tuple(card.mean_usd_per_query), np.shape(held["predicted"])
    whole = shape == (len(held_out), len(models)) and held_out.models == models
    if not whole or type(held["predictor"]) is not MADE[card.kind]:
        raise RouterFileError(f"{path / CARD} and its files are of different routers; {remedy}")
    told = {name: getattr(card, name) for name in ("kind", "embedding", "worth", "learnt", "goal", "setting")}
    return DeployedRouter(
        **told,
        predictor=held["predictor"],
        models=models,
        mean_cost=np.array([*card.mean_usd_per_query.values()]),
        held_out=replace(held_out, origin=origin),
        predicted=held["predicted"],
        reference=Reference(held["center"], held["axes"], held["places"]),
        origin=origin,
    )

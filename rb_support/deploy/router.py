"""A trained router as a thing one can save, load and ask: which model for this prompt, how good, how dear."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rb_support.cache import write_atomically
from rb_support.deploy.calibration import Goal, Setting, calibrate
from rb_support.embed import BUNDLED, TFIDF, embed
from rb_support.outcomes import Origin, Outcomes, TableError
from rb_support.preference.training import CheckpointError, read_sealed, write_sealed
from rb_support.routers import KNNRouter, MLPRouter, RidgeRouter, decide, mean_cost

Array = NDArray[np.float64]

KINDS: Mapping[str, type[KNNRouter] | type[RidgeRouter] | type[MLPRouter]] = {
    "ridge": RidgeRouter,
    "knn": KNNRouter,
    "mlp": MLPRouter,
}
"""Routers that can be saved, by the name that a card gives them."""

CARD, WEIGHTS = "card.json", "router.safetensors"
_FORMAT = "rb_support router 1"


class RouterFileError(ValueError):
    """A folder holds no router that can be used; the message says why and what to do."""


@dataclass(frozen=True, eq=False)
class DeployedRouter:
    """A router fitted on a table, and what it is set to.

    Attributes
    ----------
    kind : a key of `KINDS`.
    predictor : the fitted router.
    embedding : text encoder of the prompts, as `rb_support.embed.embed` takes it.
    models : m names.
    mean_cost : (m,) USD per query that a call is expected to cost: the training rows' means.
    held_out : rows that the predictor was not fitted on, for calibration.
    predicted : (n, m) quality that it predicts for them.
    origin : of the table.
    goal, setting : what it is calibrated to; None before `calibrate`.
    """

    kind: str
    predictor: Any
    embedding: str
    models: tuple[str, ...]
    mean_cost: Array
    held_out: Outcomes
    predicted: Array
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
        goal = Goal(budget, quality, share)
        rng = np.random.default_rng(seed)
        return replace(
            self, goal=goal, setting=calibrate(self.predicted, self.mean_cost, self.held_out, goal, rng=rng)
        )

    def route(self, prompts: Sequence[str], *, willingness_to_pay: float | None = None) -> pd.DataFrame:
        """Which model each prompt goes to.

        Parameters
        ----------
        prompts : n texts.
        willingness_to_pay : in place of the calibrated one, USD per unit of quality.

        Returns
        -------
        (n, 3) frame: model, predicted_quality, expected_usd.

        Raises
        ------
        ValueError
            If the router was never calibrated and no willingness to pay is given.
        """
        if willingness_to_pay is None:
            if self.setting is None:
                raise ValueError("the router is not calibrated; give a budget, a quality or a share first")
            willingness_to_pay = self.setting.willingness_to_pay
        if not len(prompts):
            return pd.DataFrame(columns=["model", "predicted_quality", "expected_usd"])
        vectors = embed(list(prompts), self.embedding, progress=False)
        predicted = self.predictor.predict(vectors)
        calls = decide(predicted, self.mean_cost, willingness_to_pay)
        rows = np.arange(len(calls))
        return pd.DataFrame(
            {
                "model": np.array(self.models, dtype=object)[calls],
                "predicted_quality": predicted[rows, calls],
                "expected_usd": self.mean_cost[calls],
            }
        )

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors) and a card (JSON) into a folder; nothing in them is ever run."""
        path = Path(folder)
        state = {name: torch.tensor(values) for name, values in self.predictor.state().items()}
        tensors = {f"predictor.{name}": tensor for name, tensor in state.items()}
        tensors |= {"mean_cost": torch.tensor(self.mean_cost), "predicted": torch.tensor(self.predicted)}
        tensors |= {
            "quality": torch.tensor(np.array(self.held_out.quality)),
            "cost": torch.tensor(np.array(self.held_out.cost)),
        }
        card = self.card()
        write_sealed(path / WEIGHTS, tensors, {"identity": _FORMAT, "card": card})
        write_atomically(path / CARD, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())

    def card(self) -> dict[str, Any]:
        """What a reader should know of it: data, models, prices, setting, what to expect, versions."""
        used = {name: version(name) for name in ("numpy", "scikit-learn", "torch", "rb_support")}
        return {
            "kind": self.kind,
            "embedding": self.embedding,
            "models": list(self.models),
            "mean_usd_per_query": dict(zip(self.models, self.mean_cost.tolist(), strict=True)),
            "data": asdict(self.origin),
            "goal": asdict(self.goal) if self.goal else None,
            "setting": asdict(self.setting) if self.setting else None,
            "held_out_rows": len(self.held_out),
            "versions": {**used, "python": platform.python_version()},
        }


def fit(
    table: Outcomes,
    kind: str = "ridge",
    *,
    embedding: str = BUNDLED,
    train_share: float = 0.7,
    seed: int = 0,
) -> DeployedRouter:
    """Fit a router on a table, and keep rows apart that say what it is worth.

    Parameters
    ----------
    table : outcomes of n queries.
    kind : a key of `KINDS`.
    embedding : text encoder; TF-IDF, which learns its words from the table, cannot be saved.
    train_share : share of each task's rows to fit on.
    seed : of the split and of the networks.

    Raises
    ------
    ValueError
        If the kind or the embedding cannot be used.
    TableError
        If the table's prompts cannot be split.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; give one of {', '.join(KINDS)}")
    if embedding == TFIDF:
        raise ValueError("TF-IDF learns its words from the table and is not saved; take 'minilm'")
    train, held_out = table.split(train_share, seed=seed)
    made: Any = KINDS[kind]() if kind == "knn" else KINDS[kind](seed=seed)  # type: ignore[call-arg]
    learnt, kept = (embed(part.frame["prompt"].tolist(), embedding) for part in (train, held_out))
    predictor = made.fit(train, learnt)
    return DeployedRouter(
        kind=kind,
        predictor=predictor,
        embedding=embedding,
        models=table.models,
        mean_cost=mean_cost(train),
        held_out=held_out,
        predicted=predictor.predict(kept),
        origin=table.origin,
    )


def load(folder: str | Path) -> DeployedRouter:
    """Router that `DeployedRouter.save` wrote; it decides as the saved one did, to the last byte.

    Raises
    ------
    RouterFileError
        If the folder holds none, or its weights are damaged or of another format.
    """
    path = Path(folder)
    try:
        tensors, record = read_sealed(path / WEIGHTS, _FORMAT)
        card = record["card"]
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        state = {
            name.removeprefix("predictor."): values
            for name, values in arrays.items()
            if name.startswith("predictor.")
        }
        models = tuple(card["models"])
        ids = [f"held-out {row}" for row in range(len(arrays["quality"]))]
        frame = pd.DataFrame({"sample_id": ids, "dataset": "held-out", "task": "held-out", "prompt": ""})
        origin = Origin.from_record(card["data"])
        goal, setting = card["goal"], card["setting"]
        return DeployedRouter(
            kind=card["kind"],
            predictor=KINDS[card["kind"]].restored(state),  # type: ignore[union-attr]
            embedding=card["embedding"],
            models=models,
            mean_cost=arrays["mean_cost"],
            held_out=Outcomes(frame, arrays["quality"], arrays["cost"], models, origin),
            predicted=arrays["predicted"],
            origin=origin,
            goal=Goal(**goal) if goal else None,
            setting=Setting(
                **{key: tuple(value) if isinstance(value, list) else value for key, value in setting.items()}
            )
            if setting
            else None,
        )
    except CheckpointError as error:
        raise RouterFileError(f"{path} holds no whole router: {error}") from error
    except (KeyError, TypeError, ValueError, TableError) as error:
        raise RouterFileError(f"{path} holds no router of this version ({error}); fit it again") from error

"""`python -m rb_support fit`, `calibrate` and `route`: a router made of an own table, saved, set and asked.

Exit codes: 0 done, 1 the table or the router cannot be used, 2 a wrong option.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rb_support.app.words import in_words, say
from rb_support.cache import packaged_table

if TYPE_CHECKING:
    from rb_support.deploy import DeployedRouter

UNUSABLE, USAGE = 1, 2
_SAID = packaged_table("app/route.toml")

Kind = Literal["ridge", "knn", "mlp", "sw", "factorization"]
Folder = Annotated[Path, typer.Argument(help="Folder that `fit` saved.")]
Budget = Annotated[
    float | None,
    typer.Option(
        help="USD that --queries queries may cost; 50 USD a month for 20,000: --budget 50 --queries 20000."
    ),
]
Queries = Annotated[int, typer.Option(help="How many queries the budget is for, such as a month's.")]
Quality = Annotated[float | None, typer.Option(help="Share of the best model's quality to reach: 0.95.")]
Share = Annotated[float | None, typer.Option(help="Largest share of calls to the dearest model: 0.3.")]


def fit(
    table: Annotated[Path, typer.Argument(help="Outcome table, CSV or Parquet; see `table convert`.")],
    out: Annotated[Path, typer.Option(help="Folder to save the router in.")],
    kind: Annotated[
        Kind, typer.Option(help="How quality is predicted; sw and factorization learn from battles.")
    ] = "ridge",
    budget: Budget = None,
    queries: Queries = 1000,
    quality: Quality = None,
    share: Share = None,
    battles: Annotated[
        Path | None,
        typer.Option(
            help="Votes to learn from besides (sw, factorization): prompt, model_a, model_b, winner."
        ),
    ] = None,
    embedding: Annotated[str, typer.Option(help="Text encoder of the prompts.")] = "minilm",
    seed: Annotated[int, typer.Option(help="Of the split and of what is drawn.")] = 0,
) -> None:
    """Fit a router on a table, set it to one goal, and save it.

    Give one of --budget, --quality and --share. What it prints to expect was measured on rows that had no
    part in the fit or in the choice, and so was whether the router is worth it at all.

    Exit codes: 0 saved, 1 the table cannot be used, 2 a wrong option.
    """
    from rb_support import deploy
    from rb_support.outcomes import Battles, Origin, Outcomes, convert

    goal = _goal(budget, queries, quality, share)
    with in_words(USAGE, ValueError), _in_words():
        votes = None
        if battles is not None:
            read = convert.read_any(battles)
            origin = Origin("own", battles.name, ((battles.name, read.sha256),), tuple(read.notes))
            votes = Battles.from_frame(read.frame, origin=origin, name=battles.name)
        fitted = deploy.fit(
            Outcomes.read(table, missing="keep"), kind, battles=votes, embedding=embedding, seed=seed
        )
        router = fitted.calibrate(**goal, seed=seed)
        router.save(out)
    say(f"{_made(router)}\n\n{_expected(router)}\n\n{router.worth}\n\nsaved in {out}")


def calibrate(
    router: Folder,
    budget: Budget = None,
    queries: Queries = 1000,
    quality: Quality = None,
    share: Share = None,
    save: Annotated[bool, typer.Option("--save", help="Set the saved router to this goal.")] = False,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
) -> None:
    """Say which setting keeps another goal, and what to expect of it; nothing is fitted anew.

    Give one of --budget, --quality and --share.

    Exit codes: 0 done, 1 the router cannot be used, 2 a wrong option.
    """
    from rb_support import deploy

    goal = _goal(budget, queries, quality, share)
    with in_words(USAGE, ValueError), _in_words():
        found = deploy.load(router).calibrate(**goal, seed=seed)
        if save:
            found.save(router)
    say(f"{_expected(found)}\n\n{found.worth}" + (f"\n\nsaved in {router}" if save else ""))


def route(
    router: Folder,
    prompts: Annotated[list[str] | None, typer.Argument(help="Prompts.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Text file, a prompt a line; - for standard input.")
    ] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="Say whether the prompts are like those it was measured on.")
    ] = False,
) -> None:
    """Say which model each prompt goes to, one JSON record a line; of drift, on standard error.

    Exit codes: 0 routed, 1 the router cannot be used, 2 a wrong option.
    """
    from rb_support import deploy

    with _in_words():
        text = "" if file is None else sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        asked = [*(prompts or ()), *(line for line in text.splitlines() if line.strip())]
        if not asked:
            raise typer.BadParameter("give prompts, or a file of them with --file")
        loaded = deploy.load(router)
        found = loaded.route(asked)
        if drift:
            say(str(loaded.drift(asked)), err=True)
    for prompt, row in zip(asked, found.to_dict("records"), strict=True):
        typer.echo(json.dumps({"prompt": prompt, **row}, ensure_ascii=True))


def _goal(
    budget: float | None, queries: int, quality: float | None, share: float | None
) -> dict[str, float | None]:
    """One goal of three, the budget in USD per query."""
    if sum(goal is not None for goal in (budget, quality, share)) != 1:
        raise typer.BadParameter("give exactly one of --budget, --quality and --share")
    if queries < 1:
        raise typer.BadParameter(f"{queries} is no number of queries", param_hint="--queries")
    return {"budget": None if budget is None else budget / queries, "quality": quality, "share": share}


def _made(router: DeployedRouter) -> str:
    """What a router was made from, in lines."""
    learnt, models = router.learnt, len(router.models)
    made = _SAID["made"].format(name=router.origin.name, kind=router.kind, models=models, **vars(learnt))
    if lacking := learnt.rows * models - learnt.answers:
        made += _SAID["lacking"].format(lacking)
    if learnt.battles:
        made += _SAID["battles"].format(learnt.battles)
    if learnt.battles_left_out:
        made += _SAID["left_out"].format(learnt.battles_left_out)
    return made


def _expected(router: DeployedRouter) -> str:
    """What a calibrated router is expected to give, and what the money gives without one, in lines."""
    from rb_support.frontier import Curve

    setting, goal = router.setting, router.goal
    assert setting is not None and goal is not None
    cost, quality = setting.usd_per_query[0], setting.quality[0]
    points = router.held_out.points()
    best = int(points[:, 1].argmax())
    best_cost, best_quality = points[best]
    calls = sorted(zip(setting.calls, router.models, strict=True), reverse=True)
    mixture, money = Curve(points, router.models), max(cost, points[:, 0].min())
    missed = (goal.budget is not None and cost > goal.budget) or (
        goal.quality is not None and quality < goal.quality * best_quality
    )
    return _SAID["expected"].format(
        goal=goal,
        reached=_SAID["lucky" if missed else "kept"] if setting.reached else _SAID["missed"],
        setting=setting,
        usd=[1000 * usd for usd in setting.usd_per_query],
        calls=", ".join(f"{share:.0%} {model}" for share, model in calls if share),
        best=router.models[best],
        best_usd=1000 * best_cost,
        best_quality=best_quality,
        saved=f", {1 - cost / best_cost:.0%} less" if best_cost > cost else "",
        more=quality - best_quality,
        parts=", ".join(f"{part.probability:.0%} {part.label}" for part in mixture.mixture(money)),
        blind=float(mixture.at(money)),
    )


def _in_words() -> AbstractContextManager[None]:
    from rb_support.deploy import RouterFileError
    from rb_support.embed import EmbeddingError
    from rb_support.outcomes import TableError

    return in_words(UNUSABLE, TableError, RouterFileError, EmbeddingError, OSError, UnicodeDecodeError)

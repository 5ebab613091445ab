"""`python -m rb_support fit` and `route`: a router made of an own table, saved, and asked.

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

if TYPE_CHECKING:
    from rb_support.deploy import DeployedRouter

UNUSABLE, USAGE = 1, 2

Kind = Literal["ridge", "knn", "mlp"]
Budget = Annotated[float | None, typer.Option(help="USD that may be spent on --queries queries.")]
Queries = Annotated[int, typer.Option(help="How many queries the budget is for, such as a month's.")]
Quality = Annotated[float | None, typer.Option(help="Share of the best model's quality to reach: 0.95.")]
Share = Annotated[float | None, typer.Option(help="Largest share of calls to the dearest model: 0.3.")]


def fit(
    table: Annotated[Path, typer.Argument(help="Outcome table, CSV or Parquet; see `table convert`.")],
    out: Annotated[Path, typer.Option(help="Folder to save the router in.")],
    kind: Annotated[Kind, typer.Option(help="How quality is predicted.")] = "ridge",
    budget: Budget = None,
    queries: Queries = 1000,
    quality: Quality = None,
    share: Share = None,
    embedding: Annotated[str, typer.Option(help="Text encoder of the prompts.")] = "minilm",
    seed: Annotated[int, typer.Option(help="Of the split and of what is drawn.")] = 0,
) -> None:
    """Fit a router on a table, set it to one goal, and save it.

    Give one of --budget, --quality and --share. What it prints to expect was measured on rows that had no
    part in the fit or in the choice.

    Exit codes: 0 saved, 1 the table cannot be used, 2 a wrong option.
    """
    from rb_support import deploy
    from rb_support.outcomes import Outcomes

    if sum(goal is not None for goal in (budget, quality, share)) != 1:
        raise typer.BadParameter("give exactly one of --budget, --quality and --share")
    if queries < 1:
        raise typer.BadParameter(f"{queries} is no number of queries", param_hint="--queries")
    per_query = None if budget is None else budget / queries
    with in_words(USAGE, ValueError), _in_words():
        router = deploy.fit(Outcomes.read(table), kind, embedding=embedding, seed=seed)
        router = router.calibrate(budget=per_query, quality=quality, share=share, seed=seed)
        router.save(out)
    say(f"{_expected(router)}\n\nsaved in {out}")


def route(
    router: Annotated[Path, typer.Argument(help="Folder that `fit` saved.")],
    prompts: Annotated[list[str] | None, typer.Argument(help="Prompts.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="Text file, a prompt a line; - for standard input.")
    ] = None,
) -> None:
    """Say which model each prompt goes to, one JSON record a line.

    Exit codes: 0 routed, 1 the router cannot be used, 2 a wrong option.
    """
    from rb_support import deploy

    with _in_words():
        text = "" if file is None else sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
        asked = [*(prompts or ()), *(line for line in text.splitlines() if line.strip())]
        if not asked:
            raise typer.BadParameter("give prompts, or a file of them with --file")
        found = deploy.load(router).route(asked)
    for prompt, row in zip(asked, found.to_dict("records"), strict=True):
        typer.echo(json.dumps({"prompt": prompt, **row}, ensure_ascii=True))


def _expected(router: DeployedRouter) -> str:
    """What a calibrated router is expected to give, and what the single models give, in lines."""
    from rb_support.routers import knows_nothing

    setting = router.setting
    assert setting is not None
    (cost, c_low, c_high), (quality, q_low, q_high) = setting.usd_per_query, setting.quality
    points = sorted(
        zip(router.held_out.points().tolist(), router.models, strict=True), key=lambda p: -p[0][1]
    )
    (best_cost, best_quality), best = points[0]
    calls = [
        f"{share:.0%} {model}"
        for share, model in sorted(zip(setting.calls, router.models, strict=True), reverse=True)
        if share
    ]
    learnt = (
        ""
        if not knows_nothing(router.predicted)
        else (
            "nothing was learnt: these prompts do not tell one model from another, so all go to the same one"
        )
    )
    reached = "" if setting.reached else " (NOT reached on the held-out rows: this is the nearest)"
    saved = f", {1 - cost / best_cost:.0%} less" if best_cost > cost else ""
    return "\n".join(
        [
            f"goal: {router.goal}{reached}",
            f"to expect on new prompts, from {setting.rows:,} held-out rows:",
            f"  cost     {1000 * cost:.4g} USD per 1,000 queries [{1000 * c_low:.4g}, {1000 * c_high:.4g}]",
            f"  quality  {quality:.3f} [{q_low:.3f}, {q_high:.3f}]",
            f"  calls    {', '.join(calls)}",
            f"always {best}: {1000 * best_cost:.4g} USD, quality {best_quality:.3f}; the router costs "
            f"{1000 * cost:.4g} USD{saved}, quality {quality - best_quality:+.3f}",
            *([learnt] if learnt else []),
        ]
    )


def _in_words() -> AbstractContextManager[None]:
    from rb_support.deploy import RouterFileError
    from rb_support.embed import EmbeddingError
    from rb_support.outcomes import TableError

    return in_words(UNUSABLE, TableError, RouterFileError, EmbeddingError, OSError, UnicodeDecodeError)

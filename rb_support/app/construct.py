"""`python -m rb_support construct …`: make an outcome table from live models.

Exit codes: 0 done, 1 an error (a file, the store, an answer that cannot be used), 2 a wrong option, 3 the
budget is reached, 4 some calls were given up, 130 interrupted. Whatever the code, answers that came are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from rb_support import construct
from rb_support.app.words import in_words, say
from rb_support.cache import write_atomically
from rb_support.construct.records import ConstructError, Model, Parameters, Query
from rb_support.construct.run import Policy
from rb_support.construct.store import Store
from rb_support.outcomes import TableError

FAILED, INTERRUPTED = 1, 130
DEMO = "demo"
CODES = {"done": 0, "budget": 3, "failed": 4}

app = typer.Typer(
    help="Outcome tables from live models: plan, run, grade, export. "
    "Exit codes: 0 done, 1 error, 2 wrong option, 3 budget reached, 4 some calls given up, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

TasksOption = Annotated[str, typer.Option("--tasks", help="Task file or folder; demo: built-in questions.")]
ModelsOption = Annotated[str, typer.Option("--models", help="Model card file; demo: simulated models.")]
StoreOption = Annotated[Path, typer.Option("--store", help="File that keeps every answer.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")]
Temperature = Annotated[float, typer.Option(min=0.0, help="0 for the likeliest answer.")]
Seed = Annotated[int | None, typer.Option(help="Sent to the endpoint; not every one heeds it.")]
Budget = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="USD",
        help="What the store may cost in all. No call starts whose worst case does not fit; a model that "
        "bills more than that is stopped after one call and named.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars.")]
STORE = Path("construct.sqlite")


@app.command()
def plan(
    tasks: TasksOption = DEMO,
    models: ModelsOption = DEMO,
    store: StoreOption = STORE,
    max_tokens: MaxTokens = 512,
    temperature: Temperature = 0.0,
    seed: Seed = None,
) -> None:
    """Dry run: what is missing, and what it would cost and take. Nothing is sent, nothing is written."""
    with _exit_codes():
        queries = _queries(tasks)
        opened = Store(store, create=False) if store.is_file() else nullcontext()
        with _models(models, queries) as cards, opened as kept:
            planned = construct.plan.plan(queries, cards, kept, Parameters(max_tokens, temperature, seed))
    _show(planned.frame)
    say(
        f"{planned.missing:,} calls missing: about ${planned.usd:.4f} (at most ${planned.usd_most:.4f}) and "
        f"{planned.seconds:,.0f} s; ${planned.spent_usd:.4f} spent so far"
    )


@app.command()
def run(
    tasks: TasksOption = DEMO,
    models: ModelsOption = DEMO,
    store: StoreOption = STORE,
    budget: Budget = None,
    max_tokens: MaxTokens = 512,
    temperature: Temperature = 0.0,
    seed: Seed = None,
    attempts: Annotated[int, typer.Option(min=1, help="How often a call is tried.")] = 6,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that an attempt may take.")] = 120.0,
    fsync: Annotated[bool, typer.Option("--fsync", help="Wait for the disk at each answer.")] = False,
    quiet: Quiet = False,
) -> None:
    """Ask what is missing and record each answer as it comes; run it again to go on after any stop."""
    with _exit_codes():
        queries = _queries(tasks)
        with _models(models, queries) as cards, Store(store, fsync=fsync) as kept:
            asked, policy = Parameters(max_tokens, temperature, seed), Policy(attempts, timeout_s=timeout)
            summary = construct.run.run(
                queries, cards, kept, asked, budget_usd=budget, policy=policy, progress=not quiet
            )
    say(f"{summary.answers:,} answers in {summary.seconds:.1f} s, ${summary.spent_usd:.6f} in this run")
    retried = ", ".join(f"{count} x {kind}" for kind, count in sorted(summary.retries.items()))
    say(f"{summary.attempts:,} requests; repeated after: {retried or 'none'}")
    say(summary.message, err=summary.state != "done")
    raise typer.Exit(CODES[summary.state])


@app.command()
def grade(
    store: StoreOption = STORE,
    judge: Annotated[str, typer.Option(help="Name of a card; without one, open questions wait.")] = "",
    models: ModelsOption = DEMO,
    budget: Budget = None,
    max_tokens: MaxTokens = 512,
    temperature: Temperature = 0.0,
    seed: Seed = None,
    quiet: Quiet = False,
) -> None:
    """Grade all answers; a judge model (of the card file; sim-judge of demo) grades the open questions.

    The parameters are those with which the answers were asked.
    """
    with _exit_codes(), Store(store, create=False) as kept:
        before = len(kept.runs())
        with _models(models, (), judge=True) if judge else nullcontext(list[Model]()) as listed:
            cards = {card.name: card for card in listed}
            if judge and judge not in cards:
                known = f"no model is called {judge!r}; there are {', '.join(cards)}"
                raise typer.BadParameter(known, param_hint="--judge")
            asked = Parameters(max_tokens, temperature, seed)
            table = construct.grading.grade_store(
                kept, judge=cards.get(judge), parameters=asked, budget_usd=budget, progress=not quiet
            )
        states = kept.runs()["state"].iloc[before:].tolist()
    _show(table)
    code = max([CODES.get(state, FAILED) for state in states], default=0)
    if code:
        say("the judge has not seen all answers: `construct status` tells why", err=True)
    raise typer.Exit(code)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Table to write: .parquet (whole) or .csv.")],
    store: StoreOption = STORE,
    long: Annotated[bool, typer.Option("--long", help="A row per sample and model (.csv only).")] = False,
    cost: Annotated[str, typer.Option(help="Cost axis of the table: usd or latency.")] = "usd",
    card: Annotated[Path | None, typer.Option(help="Write a dataset card (Markdown) here.")] = None,
    max_tokens: MaxTokens = 512,
    temperature: Temperature = 0.0,
    seed: Seed = None,
) -> None:
    """Write the outcome table in the published schema, and a dataset card."""
    if cost not in ("usd", "latency") or out.suffix not in (".csv", ".parquet"):
        raise typer.BadParameter("cost is usd or latency; FILE ends in .csv or .parquet")
    parameters = Parameters(max_tokens, temperature, seed)
    with _exit_codes(), Store(store, create=False) as kept:
        outcomes = construct.export.to_outcomes(kept, parameters=parameters, cost=cost)  # type: ignore[arg-type]
        if out.suffix == ".parquet":
            outcomes.to_parquet(out)
        else:
            outcomes.to_csv(out, long=long)
        if card is not None:
            write_atomically(card, construct.export.card(kept, parameters=parameters).encode())
    say(f"{len(outcomes):,} rows x {len(outcomes.models)} models to {out}")
    for note in outcomes.origin.notes:
        say(f"note: {note}")


@app.command()
def status(store: StoreOption = STORE) -> None:
    """Show what the store holds: answers per model, money, runs, calls that were given up."""
    with _exit_codes(), Store(store, create=False) as kept:
        answers, failures, runs = kept.answers(), kept.failures(), kept.runs()
        charges, spent, queries = kept.charges(), kept.spent_usd(), kept.queries()
        notes = [*kept.price_notes(), construct.grading.unscored(kept)]
    sums = {"text": "count", "prompt_tokens": "sum", "answer_tokens": "sum", "cost_usd": "sum"}
    by_model = answers.groupby("model").agg({**sums, "latency_s": "mean"}).rename(columns={"text": "answers"})
    failed = failures.groupby("model").size().rename("failed")
    _show(by_model.join(failed, how="outer").fillna({"answers": 0, "failed": 0}).reset_index())
    say(f"{len(queries):,} queries, {len(answers):,} answers, {len(failures):,} failed, ${spent:.6f} spent")
    for why, group in charges.groupby("note"):
        say(f"of these up to ${group['usd'].sum():.6f} for {len(group):,} calls that may be billed: {why}")
    for note in filter(None, notes):
        say(f"note: {note}")
    if len(runs):
        _show(runs[["id", "started_at", "ended_at", "budget_usd", "spent_usd", "state"]])
    counted = failures.groupby(["model", "reason"]).size().reset_index(name="calls")
    for model, reason, calls in counted.itertuples(index=False):
        say(f"given up: {calls} x {model}: {reason}", err=True)


def _queries(tasks: str) -> list[Query]:
    made = construct.tasks
    return made.queries_of(made.demo_tasks() if tasks == DEMO else made.read_tasks(tasks))


@contextmanager
def _models(models: str, queries: Sequence[Query], *, judge: bool = False) -> Iterator[list[Model]]:
    """Model cards of a file; for the demo those of a server that runs until the block ends."""
    if models != DEMO:
        yield construct.models.read_models(models)
        return
    with construct.loopback.serve(queries) as server:
        yield [*server.models(), server.judge()] if judge else server.models()


def _show(frame: pd.DataFrame) -> None:
    shown = frame.astype(object).where(frame.notna(), "")
    shown = shown.map(lambda cell: f"{cell[:59]}…" if isinstance(cell, str) and len(cell) > 60 else cell)
    say(shown.to_markdown(index=False, tablefmt="simple", floatfmt=".6g"))


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn an error of construction into one sentence on stderr and an exit code."""
    try:
        with in_words(FAILED, ConstructError, TableError, OSError):
            yield
    except KeyboardInterrupt as error:
        say("Interrupted: every answer that came is kept; run again to go on.", err=True)
        raise typer.Exit(INTERRUPTED) from error

"""`python -m rb_support table …`: see what is wrong with an own table, and turn what one has into one.

Exit codes: 0 the table can be used, 1 it cannot, 2 a wrong option.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pandas as pd
import typer
from tabulate import tabulate

from rb_support.app.words import in_words, say
from rb_support.outcomes import Outcomes, PartialOutcomes, TableError, convert, wide
from rb_support.outcomes.checks import Checks

UNUSABLE = 1
FEW = 10
"""Fewer complete rows than this are too few to judge on."""
Unit = Literal["usd", "cents", "usd-per-1000-queries", "usd-per-million-queries"]

app = typer.Typer(
    help="Your own outcome table: what is wrong with it, and how to make one of what you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

File = Annotated[Path, typer.Argument(help="CSV of any kind, .xlsx, JSON lines or Parquet.")]


@app.command()
def check(file: File) -> None:
    """Say what a file holds, or all that keeps it from being used, with rows and columns.

    Cells that are missing are counted; what bears them is said, and how to drop them.

    Exit codes: 0 it can be used, 1 it cannot.
    """
    with in_words(UNUSABLE, TableError, OSError):
        try:
            say(_found(Outcomes.read(file, missing="keep")))
        except TableError as error:
            read = convert.read_any(file)
            problems = [] if "table" in read.record else wide.problems(read.frame, file.name)
            problems = (
                problems or [f"{note}: `table convert` reads it" for note in read.notes] or [str(error)]
            )
            say("\n".join(f"* {problem}" for problem in problems))
            say(f"\nProblems: {len(problems)}. Its columns:\n\n{_columns(read.frame)}")
            say("\nSay where it has what: python -m rb_support table convert --help")
            raise typer.Exit(UNUSABLE) from error


@app.command("convert")
def convert_file(
    file: File,
    out: Annotated[Path, typer.Argument(help="The table to write, .parquet or .csv.")],
    prompt: Annotated[str, typer.Option(help="Column of the prompts.")],
    score: Annotated[
        str, typer.Option(help="Columns of the scores, such as '{model} score'; with --model one column.")
    ],
    cost: Annotated[str, typer.Option(help="Columns of the costs, likewise.")] = "",
    model: Annotated[str, typer.Option(help="Column of the models' names, if there is a row per call.")] = "",
    task: Annotated[str, typer.Option(help="Column of the tasks; without it there is one.")] = "",
    id_: Annotated[str, typer.Option("--id", help="Column of ids; without it they are made.")] = "",
    scale: Annotated[str, typer.Option(metavar="LOW-HIGH", help="Scale of the scores, such as 1-5.")] = "",
    unit: Annotated[Unit, typer.Option(help="Unit of the costs.")] = "usd",
    decimal: Annotated[str, typer.Option(help="Mark of decimals, if the file leaves doubt: , or .")] = "",
    tokens_in: Annotated[
        str, typer.Option(help="Columns of the prompt's tokens: kept, and with --prices in place of costs.")
    ] = "",
    tokens_out: Annotated[str, typer.Option(help="Columns of the answer's tokens.")] = "",
    prices: Annotated[
        Path | None,
        typer.Option(help="CSV: model, price_in_usd_per_million, price_out_usd_per_million."),
    ] = None,
    latency: Annotated[str, typer.Option(help="Columns of what a call took, such as '{model} s'.")] = "",
    latency_unit: Annotated[Literal["s", "ms"], typer.Option(help="Unit of these.")] = "s",
    missing: Annotated[
        Literal["raise", "drop", "keep"],
        typer.Option(
            help="A query without some score or cost: refused, dropped, or kept for means and fits."
        ),
    ] = "raise",
) -> None:
    """Write a file as an outcome table, and say all that was done to it.

    Exit codes: 0 written, 1 the file cannot be used, 2 a wrong option.

    Examples
    --------
      table convert sheet.csv mine.parquet --prompt Question --score '{model} points' --scale 1-5 --cost '{model} ct' --unit cents

      table convert calls.jsonl mine.parquet --prompt input --model model --score ok --tokens-in usage.in --tokens-out usage.out --prices prices.csv
    """  # noqa: E501
    span = _span(scale)
    if decimal not in get_args(convert.Decimals):
        raise typer.BadParameter(f"{decimal!r} is no mark of decimals; give , or .", param_hint="--decimal")
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise typer.BadParameter(f"{out} ends in neither .parquet nor .csv", param_hint="OUT")
    with in_words(UNUSABLE, TableError, OSError):
        places: dict[str, Any] = {"prompt": prompt, "score": score, "cost": cost, "model": model}
        places |= {"task": task, "id": id_, "tokens_in": tokens_in, "tokens_out": tokens_out}
        card = convert.price_card(prices) if prices else None
        places |= {"latency": latency, "latency_unit": latency_unit}
        layout = convert.Layout(**places, scale=span, unit=unit, decimal=decimal, prices=card)  # type: ignore[arg-type]
        table = convert.convert(file, layout, missing=missing)
        (table.to_csv if out.suffix.lower() == ".csv" else table.to_parquet)(out)
    say(f"{_found(table)}\n\nwritten as {out}")


def _span(scale: str) -> tuple[float, float] | None:
    if not scale:
        return None
    try:
        low, high = (float(end) for end in scale.split("-"))
    except ValueError as error:
        raise typer.BadParameter(f"{scale!r} is no scale; write it as 1-5", param_hint="--scale") from error
    return low, high


def _found(table: PartialOutcomes) -> str:
    """What a table holds, in lines."""
    unit, calls = table.cost_unit, int(table.answered.sum())
    free = int((table.cost == 0).sum())
    lines = [
        f"{table.origin.name}: {len(table):,} queries x {len(table.models)} models",
        f"tasks: {', '.join(table.frame['task'].unique()[:10])}",
    ]
    if calls:
        low, high = np.nanmin(table.cost), np.nanmax(table.cost)
        lines += [
            f"scores: {np.nanmin(table.quality):g} to {np.nanmax(table.quality):g}",
            f"costs: {low:.3g} to {high:.3g} {unit} per query"
            + (f"; {free:,} calls cost nothing" if free else ""),
        ]
    lines += [f"* {note}" for note in table.origin.notes]
    by, per = (1000, "1,000 queries") if unit == "USD" else (1, "query")
    cost, score = table.points().T
    heads: dict[str, Any] = {"model": table.models, f"{unit} per {per}": by * cost, "mean score": score}
    if not table.answered.all():
        heads["answered"] = table.answered.sum(axis=0)
    for kind, head in ((wide.LATENCY, "seconds"), (wide.TOKENS, "tokens")):
        columns = [model + kind for model in table.models]
        if set(columns) <= set(table.frame.columns):
            try:
                cells = Checks(table.frame, table.origin.name).numbers(columns, truth=False)
                heads[head] = pd.DataFrame(cells).mean().to_numpy()
            except TableError as error:
                lines.append(f"* no --cost {kind[1:]}: {error}")
    return "\n".join([*lines, *_missing(table)]) + "\n\n" + tabulate(heads, headers="keys", floatfmt=".4g")


def _missing(table: PartialOutcomes) -> list[str]:
    """What is missing, what bears that, and how to drop it; nothing of a complete table."""
    absent = ~table.answered
    if not absent.any():
        return []
    lacks = sorted(zip(absent.sum(axis=0).tolist(), table.models, strict=True), reverse=True)
    whole = np.flatnonzero(~absent.any(axis=1))
    which = f" (rows {', '.join(str(row + 1) for row in whole)})" if len(whole) < FEW else ""
    lines = [
        f"missing: {int(absent.sum()):,} of {absent.size:,} answers ("
        + ", ".join(f"{model} {count:,}" for count, model in lacks[:10] if count)
        + ")",
        f"complete rows: {len(whole):,} of {len(table):,}{which}",
        "  bear it: each model's mean over what it was asked (comparable only if that did not hang on the "
        "prompt), and what ridge, KNN and MLP learn, each model from its own rows; "
        '`Outcomes.read(FILE, missing="keep")` keeps them',
        "  take complete rows only: hull, AIQ, oracle, cascades, every comparison and calibration; "
        "`reproduce --data FILE --missing drop` takes these",
    ]
    if len(whole) < FEW and len(table.models) > 1:
        worst = lacks[0][1]
        rest = (~absent[:, [model != worst for model in table.models]].any(axis=1)).sum()
        lines.append(
            f"* too few complete rows to judge on; without '{worst}' there are {int(rest):,} (--models)"
        )
    return lines


def _columns(frame: pd.DataFrame) -> str:
    """Every column with what fills it."""
    rows = []
    for name in frame.columns[:60]:
        cells = frame[name].dropna()
        cells = cells[cells.astype(str).str.strip() != ""]
        try:
            values = convert.numbers(frame[name], "", convert.mark_of_file(frame))[0]
            holds = f"{np.nanmin(values):g} to {np.nanmax(values):g}" if len(cells) else "nothing"
        except TableError:
            holds = f"text, such as {str(cells.iloc[0])[:40]!r}"
        rows.append((str(name)[:40], len(cells), holds))
    return tabulate(rows, ["column", "filled rows", "holds"], tablefmt="simple")

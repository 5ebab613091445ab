"""`python -m rb_support serve`: a saved router as an OpenAI-compatible endpoint.

Exit codes: 0 stopped by Ctrl-C, 1 the router, a card, a key, the ledger or the address cannot be used,
2 a wrong option. After SIGTERM the process ends as that signal ends one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from rb_support.app.words import in_words, say

UNUSABLE = 1
KEY = "RB_SERVE_KEY"


def serve(
    router: Annotated[Path, typer.Argument(help="Folder that `fit` saved.")],
    models: Annotated[
        Path, typer.Option(help="Model card file: endpoints, prices, names of the keys' variables.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8000,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0.0, metavar="USD", help="What the ledger may reach. No call starts that may pass it."
        ),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="File of what was spent; default ledger.jsonl in the router's folder.")
    ] = None,
    fallback: Annotated[
        bool, typer.Option("--fallback", help="Ask the next best model where one has no answer.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0.01, help="Seconds for an answer, or for a streamed one's next piece.")
    ] = 60.0,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Longest answer in tokens where a request names none.")
    ] = 1024,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at work at once.")] = 256,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest request.")] = 2**20,
) -> None:
    """Serve a router to any OpenAI client: POST /v1/chat/completions, GET /v1/models, /health, /metrics.

    Ask for the model "router", "router-0.95" (95% of the best single model's quality) or a model of the card
    file. Keys come from the environment. With RB_SERVE_KEY set, callers must send it as their API key.

    Exit codes: 0 stopped, 1 something cannot be used, 2 a wrong option.
    """
    try:
        from rb_support.deploy import server
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        say("Error: serve needs Starlette and uvicorn: pip install 'rb-support[serve]'", err=True)
        raise typer.Exit(UNUSABLE) from None
    from rb_support import deploy
    from rb_support.construct.models import read_models
    from rb_support.construct.records import ConstructError
    from rb_support.deploy.ledger import Ledger, ServeError
    from rb_support.embed import EmbeddingError

    key = os.environ.get(KEY, "").strip()
    with in_words(UNUSABLE, ServeError, deploy.RouterFileError, ConstructError, EmbeddingError, OSError):
        if host not in server.LOOPBACK and not key:
            say(f"Warning: whoever reaches {host} can spend your money; set {KEY}", err=True)
        saved, cards = deploy.load(router), read_models(models)
        limits = server.Limits(timeout, max_tokens, concurrency, max_bytes)
        spent = Ledger(ledger or router / "ledger.jsonl")
        proxy = server.Proxy(
            saved, cards, spent, budget_usd=budget, fallback=fallback, limits=limits, key=key
        )
        of = "" if budget is None else f" of {budget:.6f}"
        say(f"{saved.goal or 'not calibrated'}; {sum(spent.usd.values()):.6f}{of} USD spent so far")
        server.serve(proxy, host, port, say)

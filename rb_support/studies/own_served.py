"""A saved router answers one request: the server of `python -m rb_support serve`, before simulated models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai

from rb_support import deploy
from rb_support.construct import loopback
from rb_support.construct.loopback import SimulatedModel
from rb_support.embed import quiet

LACKING = "Serving needs Starlette and uvicorn: pip install 'rb-support[serve]'."


@contextmanager
def client_of(folder: str | Path) -> Iterator[openai.OpenAI | None]:
    """A client of a router's server while the block lasts; all on loopback, no key, no cost.

    Behind it stand simulated models under the names of the router's own. None where the extra `serve` is not
    installed.

    Parameters
    ----------
    folder : that `DeployedRouter.save` wrote.

    Raises
    ------
    RouterFileError
        If it holds no router.
    """
    router = deploy.load(folder)
    try:
        from rb_support.deploy.ledger import Ledger
        from rb_support.deploy.server import Proxy, serving
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "prometheus_client"):
            raise
        yield None
        return
    simulated = [SimulatedModel(name, skill=0.8) for name in router.models]
    with loopback.serve(models=simulated) as upstream:
        proxy = Proxy(router, upstream.models(), Ledger(Path(folder) / "ledger.jsonl"))
        http = openai.DefaultHttpxClient(trust_env=False)
        with (
            quiet(),
            serving(proxy) as url,
            openai.OpenAI(base_url=url, api_key="none", http_client=http) as client,
        ):
            yield client

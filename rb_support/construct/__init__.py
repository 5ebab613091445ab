"""Outcome tables from live models: prompts in, answers recorded first, then grades and a table.

RouterBench section 4 and Appendices A and B. `records` holds what is passed around and what can go wrong. The
steps are modules of their own: `tasks` and `task_files` (prompts), `models` (card file), `plan`, `store`
(SQLite), `client` (one attempt at one call), `run`, `loopback` (a server of simulated models), `rag`,
`grading`, `judging`, `refusals` and `export`. They are imported when they are first named.
"""

from importlib import import_module
from types import ModuleType

from rb_support.construct.records import (
    Answer,
    CallError,
    ConstructError,
    Key,
    Model,
    ModelCardError,
    Parameters,
    Query,
    StoreBusyError,
    StoreError,
    key_of,
)

__all__ = [
    "Answer",
    "CallError",
    "ConstructError",
    "Key",
    "Model",
    "ModelCardError",
    "Parameters",
    "Query",
    "StoreBusyError",
    "StoreError",
    "key_of",
]

_STEPS = {
    "export",
    "grading",
    "loopback",
    "models",
    "plan",
    "rag",
    "refusals",
    "run",
    "store",
    "task_files",
    "tasks",
}


def __getattr__(name: str) -> ModuleType:
    if name in _STEPS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Outcome tables from live models: prompts in, answers recorded first, then grades and a table.

RouterBench section 4 and Appendices A and B. `records` holds what is passed around; the steps are modules
of their own, imported by name: `models` (card file), `store` (SQLite), `client` (HTTP), `plan`, `run`,
`loopback` (a server of simulated models), `tasks`, `grading` and `export`.
"""

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

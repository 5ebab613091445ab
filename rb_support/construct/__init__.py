"""Outcome tables from live models: prompts in, answers recorded first, then grades and a table.

RouterBench section 4 and Appendices A and B. `records` holds what is passed around and what can go wrong. The
steps are modules of their own: `tasks` (prompts and task files), `models` (card file), `plan`, `store`
(SQLite), `client` (one attempt at one call), `run`, `loopback` (a server of simulated models), `rag`,
`grading` (by matching and by a judge), `refusals` and `export`; `demo` goes through them in one call.
"""

from rb_support.construct import demo as demo
from rb_support.construct import export as export
from rb_support.construct import grading as grading
from rb_support.construct import loopback as loopback
from rb_support.construct import models as models
from rb_support.construct import plan as plan
from rb_support.construct import rag as rag
from rb_support.construct import refusals as refusals
from rb_support.construct import run as run
from rb_support.construct import store as store
from rb_support.construct import tasks as tasks

"""Pages of the reference: one for each public part of the package, from its docstrings."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

PARTS = {
    "outcomes": "Outcome tables",
    "frontier": "Hull and AIQ",
    "pairs": "A strong and a weak model",
    "routers": "Predictive routers and cascades",
    "preference": "Routers from preferences",
    "studies": "What the notebooks do",
    "deploy": "A router in use",
    "report": "Figures, tables, statements",
    "teach": "Exercises and pictures",
}
"""Public modules and what they are about."""


def pages() -> Iterator[tuple[str, bytes]]:
    """Source files of the reference, with their contents."""
    lines = [
        "# Reference",
        "",
        "The public modules of `rb_support`, from their docstrings.",
        "",
        "| module | about |",
        "|---|---|",
        *(f"| [`rb_support.{name}`]({name}.md) | {about} |" for name, about in PARTS.items()),
        "",
        "```{toctree}",
        ":hidden:",
        "",
        *PARTS,
        "```",
    ]
    yield "api/index.md", ("\n".join(lines) + "\n").encode()
    for name, about in PARTS.items():
        yield f"api/{name}.md", _page(f"rb_support.{name}", about).encode()


def _page(name: str, about: str) -> str:
    module = import_module(name)
    lines = [f"# {about}", "", *_documented(module)]
    if not public(module):  # a room without names of its own: its modules
        for info in pkgutil.iter_modules(module.__path__):
            part = import_module(f"{name}.{info.name}")
            lines += [f"## {info.name}", "", *_documented(part)]
    return "\n".join(lines) + "\n"


def _documented(module: ModuleType) -> list[str]:
    names = public(module)
    summary = [".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in names), ""]
    whole = [f".. automodule:: {module.__name__}"] + ([f"   :members: {', '.join(names)}"] if names else [])
    inner = [f".. currentmodule:: {module.__name__}", "", *(summary if names else [])]
    return ["```{eval-rst}", *whole[:1], "", *inner, *_members(module, names), "```", ""]


def _members(module: ModuleType, names: list[str]) -> list[str]:
    kinds = {name: getattr(module, name) for name in names}
    return [
        line
        for name, value in kinds.items()
        for line in (
            [f".. autoclass:: {name}", "   :members:", ""]
            if inspect.isclass(value)
            else [f".. autofunction:: {name}", ""]
            if inspect.isfunction(value)
            else []
        )
    ]


def public(module: ModuleType) -> list[str]:
    """Classes and functions of a module that a user is to see, in the order they stand in."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    names = getattr(module, "__all__", own)
    values = {name: getattr(module, name) for name in names}
    return [name for name, value in values.items() if inspect.isclass(value) or inspect.isfunction(value)]

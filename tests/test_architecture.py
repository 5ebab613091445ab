"""A module imports only from floors below its own (CONTRIBUTING.md), and from its own package."""

import ast

import pytest
from conftest import ROOT

FLOORS = [
    {"names", "outcomes"},
    {"sources", "simulate", "paper", "answers", "construct"},
    {"frontier", "pairs", "stats", "embed", "load"},
    {"routers", "pilot", "retrieval", "preference"},
    {"report", "teach"},
    {"reproduce", "data_commands", "construct_commands", "__main__"},
]
SAME_FLOOR = {  # the few steps sideways, each towards what stands first
    ("outcomes", "names"), ("simulate", "paper"), ("sources", "answers"), ("stats", "frontier"),
    ("construct", "answers"), ("construct", "paper"), ("pilot", "routers"), ("retrieval", "routers"),
    ("__main__", "data_commands"), ("__main__", "construct_commands"), ("__main__", "reproduce"),
}  # fmt: skip
MODULES = sorted((ROOT / "rb_support").rglob("*.py"))


def part(path):
    return path.relative_to(ROOT / "rb_support").parts[0].removesuffix(".py")


def floor(name):
    return next(level for level, names in enumerate(FLOORS) if name in names)


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and node.level == 0
            and (node.module or "").startswith("rb_support")
        ):
            inner = (node.module or "").split(".")[1:]
            yield from ([inner[0]] if inner else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("rb_support."))


def test_every_module_has_a_floor():
    assert {part(path) for path in MODULES} - {"__init__"} == set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = part(path)
    for other in imported(path):
        if here == "__init__" or other in (here, "__version__"):
            continue
        assert floor(other) < floor(here) or (here, other) in SAME_FLOOR, f"{here} imports {other}"

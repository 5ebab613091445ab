"""A module imports only from floors below its own (CONTRIBUTING.md), and from its own package."""

import ast
from graphlib import TopologicalSorter

import pytest
from conftest import ROOT

FLOORS = [
    {"outcomes", "catalog", "cache", "visible"},
    {"sources", "simulate", "construct", "paper", "answers"},
    {"frontier", "pairs", "stats", "embed", "load", "retrieval", "verdicts"},
    {"routers", "preference", "deploy"},
    {"studies"},
    {"report", "teach"},
    {"app", "__main__"},
]
SAME_FLOOR = {  # the few steps sideways, each towards what stands first
    ("outcomes", "catalog"), ("outcomes", "cache"), ("outcomes", "visible"), ("simulate", "paper"),
    ("sources", "answers"), ("construct", "answers"), ("stats", "frontier"), ("pairs", "stats"),
    ("verdicts", "frontier"), ("teach", "report"), ("deploy", "routers"), ("deploy", "preference"),
    ("__main__", "app"), ("catalog", "cache"),
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


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_imported(path):
    """Modules of the package that a module imports at any place in it, type checking apart."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    known = {name_of(other) for other in MODULES}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from known.intersection([name if name in known else node.module for name in names])


def test_no_module_imports_itself_by_way_of_others():
    TopologicalSorter({name_of(path): set(modules_imported(path)) for path in MODULES}).prepare()


def test_every_module_has_a_floor():
    assert {part(path) for path in MODULES} - {"__init__"} == set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = part(path)
    for other in imported(path):
        if here == "__init__" or other in (here, "__version__"):
            continue
        assert floor(other) < floor(here) or (here, other) in SAME_FLOOR, f"{here} imports {other}"

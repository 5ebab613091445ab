"""The notebooks teach: how each opens and closes, where its numbers come from, and its exercises."""

import ast
import re

import nbformat
import pytest
from conftest import ROOT

from rb_support.teach.answers import __path__ as answers
from rb_support.teach.exercises import Design, Task, Value, exercise

NOTEBOOKS = ROOT / "notebooks"
MAIN = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
each = pytest.mark.parametrize("path", MAIN, ids=lambda path: path.stem)

REFERENCES = re.compile(
    r"`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)|<[^>]*>"
    r"|(?m:^#.*$)|(?m:^\*\*Takes\*\*.*$)|(?m:^[-*] |^\d+[.)] )"
    r"|\b(?:[Ss]ections?|sec\.|Figures?|Tables?|eq\.|[Ee]quations?|[Nn]otebooks?|[Ee]xercises?|arXiv|Appendix|App\.)"
    r"\s+[\dA-Z][\dA-Za-z.]*(?:(?:,| and| to)\s+[\dA-Z][\d.]*)*"
    r"|\b(?:GPT|gpt|MT|GSM|MMLU|claude|mixtral|llama|F|R|L)-?\d[\w.]*|\b[A-Za-z]+\d+[a-z]*\b|\b0[0-9][ab]?\b",
    flags=re.S,
)
"""What holds digits without being a number that was found: code, formulas, links, references, names."""
COUNTED = re.compile(
    r"\d|\b(?:three|four|five|six|seven|eight|nine|ten|eleven|dozens?|hundreds?|thousands?|thirds?|quarters?|fifths?|tenths?|twice|"
    r"double|threefold)\b",
    flags=re.I,
)


def cells(path):
    return nbformat.read(path, as_version=4).cells


def tags(cell):
    return cell.metadata.get("tags", [])


def words(text):
    return len(text.split())


def shown_as_markdown(cell):
    return "\n".join(o.data.get("text/markdown", "") for o in cell.get("outputs", []) if "data" in o)


def told(path):
    """All that is read as prose: Markdown cells, and those that are filled from the run."""
    prose = [cell.source for cell in cells(path) if cell.cell_type == "markdown"]
    return prose + [shown_as_markdown(cell) for cell in cells(path) if "see" in tags(cell)]


def number(path):
    return path.stem.split("_")[0]


@each
def test_the_opening_says_what_a_reader_needs(path):
    first = cells(path)[0].source
    for word in (
        "**Asks**",
        "**After it you can**",
        "**You need**",
        "**Takes**",
        "**Makes**",
        "**Data**",
        "**Papers**",
    ):
        assert re.search(rf"^{re.escape(word)}", first, flags=re.M), word
    assert "../docs/glossary.md" in first and "https://arxiv.org/abs/" in first
    place = MAIN.index(path)
    for neighbour in MAIN[max(place - 1, 0) : place] + MAIN[place + 1 : place + 2]:
        assert f"({neighbour.name})" in first.splitlines()[-1], (
            "last line: the notebook before and the one after"
        )
    assert re.search(
        rf"picture\(\s*\"{number(path)}\"\s*\)", "".join(cell.source for cell in cells(path)[:5])
    )


@each
def test_the_time_to_read_is_the_words_there_are(path):
    (minutes,) = re.findall(r"^\*\*Takes\*\* (\d+) minutes to read", cells(path)[0].source, flags=re.M)
    count = words("\n".join(told(path)))
    assert 1000 <= count <= 2500
    assert count / 220 <= int(minutes) <= count / 110  # and some more for code and figures


@each
def test_the_closing_is_filled_from_the_run(path):
    notebook = cells(path)
    (place,) = [i for i, cell in enumerate(notebook) if cell.source.startswith("## What was found")]
    closing = notebook[place + 1]
    assert "see" in tags(closing)
    found, change = shown_as_markdown(closing).split("**What would change our mind.**")
    assert len(re.findall(r"^\* ", found, flags=re.M)) == 5 and len(re.findall(r"\d", found)) >= 3
    assert words(change) >= 8


@each
def test_no_number_that_was_found_is_typed(path):
    """In prose a number comes from the run; one that was chosen stands in a cell that is tagged "given"."""
    for cell in cells(path):
        if cell.cell_type == "markdown" and not {"given", "exercise"} & set(tags(cell)):
            rest = REFERENCES.sub(" ", cell.source)
            assert not re.search(r"\d", rest), (
                f"{re.search(r'.{0,60}[0-9].{0,40}', rest)[0]!r} in:\n{cell.source[:200]}"
            )
            assert "What to see" not in cell.source, (
                "what is to be seen is filled from the run: a code cell tagged see"
            )
        if "see" in tags(cell):
            for part in literals(cell.source):
                assert not COUNTED.search(REFERENCES.sub(" ", part)), part


def literals(source):
    """Texts that stand typed in a cell that tells what there is to see, but for formats and comparisons."""
    tree = ast.parse(source)
    specs = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue) and node.format_spec
        for part in ast.walk(node.format_spec)
    }
    keys = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        for part in ast.walk(node.slice)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in specs | keys
    ]


@each
def test_what_is_to_be_seen_is_prose_with_its_source_folded(path):
    seen = [cell for cell in cells(path) if "see" in tags(cell)]
    assert len(seen) >= 4
    for cell in seen:
        assert cell.metadata.get("jupyter", {}).get("source_hidden") and "hide-input" in tags(cell)
        assert shown_as_markdown(cell).strip() and not [o for o in cell.outputs if o.output_type == "stream"]


@each
def test_every_picture_says_what_data_it_shows(path):
    """Saved figures do, others are signed; only numbers made up to explain need not (`teach.drag`)."""
    for cell in cells(path):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            assert re.search(r"save_figure\(|\bsign\(|origin=\w+\.origin|teach\.drag\(", cell.source), (
                cell.source
            )


@each
def test_books_are_kept_in_one_folded_cell_at_the_end(path):
    code = [cell for cell in cells(path) if cell.cell_type == "code"]
    *before, last = code
    assert "bookkeeping" in tags(last) and "hide-input" in tags(last) and last.metadata.jupyter.source_hidden
    assert "report.claims(" in last.source and cells(path)[-1] == last
    for cell in before:
        assert not re.search(
            r"\bevidence\b|\bversus\b|\bnote ?=|verdicts\.|report\.annotate|\.claims\(", cell.source
        ), cell.source


@each
def test_no_name_is_used_for_two_things(path):
    """A name that a cell gives at the top of the notebook is given nowhere else, but for figures."""
    names = {}
    for place, cell in enumerate(cells(path)):
        if cell.cell_type == "code":
            for name in assigned(cell.source):
                names.setdefault(name, []).append(place)
    assert not {
        name: places for name, places in names.items() if len(places) > 1 and name not in ("fig", "ax", "_")
    }


def assigned(source):
    tree = ast.parse(re.sub(r"^%.*$", "", source, flags=re.M))
    targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign | ast.For)]
    found = {
        inner.id
        for target in targets
        for inner in ast.walk(target)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }
    return found | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@each
def test_exercises_are_of_every_kind(path):
    asked = [cell for cell in cells(path) if cell.cell_type == "markdown" and "exercise" in tags(cell)]
    checked = re.findall(
        r"teach\.check\(\s*\"([\w.]+)\",\s*answer_",
        "\n".join(c.source for c in cells(path) if c.cell_type == "code"),
    )
    kinds = [type(exercise(name)) for name in checked]
    assert kinds.count(Value) >= 2 and Task in kinds and Design in kinds
    assert all(name.startswith(f"{number(path)}.") for name in checked) and len(asked) == len(checked) + 1
    assert "**Open.**" in asked[-1].source
    for cell in cells(path):
        if cell.cell_type == "code" and "teach.check(" in cell.source:
            assert "= None" in cell.source and "exercise" in tags(cell)
            assert sum(bool(line.strip()) for line in cell.source.splitlines()) <= 8, (
                "the computation is out of sight"
            )


@each
def test_solutions_carry_the_questions(path):
    solution = [cell.source for cell in cells(NOTEBOOKS / "solutions" / path.name)]
    for cell in cells(path):
        if cell.cell_type == "markdown" and "exercise" in tags(cell):
            assert any(cell.source.strip() in source for source in solution), cell.source


@each
def test_a_guess_is_asked_for_and_comes_back(path):
    code = "\n".join(cell.source for cell in cells(path) if cell.cell_type == "code")
    guesses = re.findall(r"teach\.predict\(\s*\"([\w.-]+)\",\s*None", code)
    assert len(guesses) >= 2 and sorted(guesses) == sorted(
        re.findall(r"teach\.recall\(\s*\"([\w.-]+)\"", code)
    )


@each
def test_some_cells_are_slides(path):
    """`make slides` takes the cells tagged slide (a new one) and slide-more (the same one goes on)."""
    marked = [cell for cell in cells(path) if {"slide", "slide-more"} & set(tags(cell))]
    assert "slide" in tags(cells(path)[0]) and 8 <= len(marked) <= 40


def test_every_answer_belongs_to_a_notebook():
    modules = {
        path.stem.removeprefix("of_")
        for folder in answers
        for path in __import__("pathlib").Path(folder).glob("of_*.py")
    }
    assert modules == {number(path) for path in MAIN}

"""Slides, the students' folder and PDFs: what they hold, and that slides fit and play in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlparse

import nbformat
import pytest
from conftest import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

pytest.importorskip("latex2mathml", reason="extra classroom not installed")
pytest.importorskip("sphinx_revealjs", reason="extra classroom not installed")

from rb_support import teach
from rb_support.__main__ import app
from rb_support.app.classroom import page, paper
from rb_support.app.classroom import slides as building
from rb_support.teach.exercises import (
    Design,
    Exercise,
    Task,
    Value,
    exercise,
)

runner = CliRunner()
MAIN = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
DOT = base64.b64encode(  # one white pixel
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
    )
).decode()
DRAWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 240"><title>A hull</title>'
    '<path d="M0 0h9v9"/></svg>'
)

OPENING = """# 00 · Made

**Asks** what a [hull](../docs/glossary.md#hull) is.

**After it you can** draw one.

**You need** nothing.

**Takes** 1 minute to read.

**Makes** nothing.

**Papers**: [RB](https://arxiv.org/abs/2403.12031).

← [02](02_oracle_pilot_study.ipynb) · [01](01_made.ipynb)"""


SAYS = 'said(f"{three} [hulls](../docs/glossary.md#hull)")'
SAID = "**What to see.** Three [hulls](../docs/glossary.md#hull), said only."
POINT = r"""## 1 A point

Mean cost $\bar c$:

$$q = \frac{1}{n}\sum_i q_i$$"""
EXERCISES = """## Exercises

Put your answer in place of `None`.
Solutions: `solutions/00_made.ipynb`. Hints come."""


def text(words: str, *tags: str) -> NotebookNode:
    return new_markdown_cell(words, metadata={"tags": list(tags)})


def code(source: str, *tags: str, **data: Any) -> NotebookNode:
    """A code cell; `plain` and `png` and the like are what it put out."""
    kinds = {"png": "image/png", "svg": "image/svg+xml", "html": "text/html", "told": "text/markdown"}
    outputs = [new_output("execute_result", {kinds.get(k, "text/plain"): v}) for k, v in data.items()]
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs, execution_count=3)


def made_notebook() -> list[NotebookNode]:
    return [
        text(OPENING, "slide"),
        code('data = "simulated"', "parameters"),
        code('teach.picture("00")', "slide-more", svg=DRAWN),
        text(POINT, "slide"),
        text("Said, and not shown."),
        code("secret_of_the_table()", "slide-more", html="<table><tr><td>7</td></tr></table>"),
        code(SAYS, "see", "hide-input", told=SAID),
        code("answer = 6 * 7", "slide", "slide-code", plain="42"),
        text("An end.\n\n## 2 A heading in a cell\n\nGoes on.", "slide"),
        code("plot()", "slide-more", png=DOT),
        text(EXERCISES),
        text("**1.** By hand.", "exercise"),
        code('answer_1 = None  # share\nteach.check("99.1", answer_1)', "exercise", plain="Not answered yet"),
        text("**2. Write it.**", "exercise"),
        code("answer_3 = None\nteach.check(\n    \"99.3\",\n    answer_3,\n)", "exercise"),
        text("**3. Break it.**", "exercise"),
        code('answer_4 = None\nbudget = 3\nteach.check("99.4", answer_4, at=budget)', "exercise"),
        text("**Open.** Why?", "exercise"),
        code("report.claims(evidence)", "bookkeeping", "hide-input", plain="books"),
    ]  # fmt: skip


HINTS = ("a nudge", "a step", "all but the answer")
ASKED: dict[str, Exercise] = {
    "99.1": Value(answer=lambda: 6, hints=HINTS, slips=(), why=""),
    "99.3": Task(
        reference=lambda x: 2 * x,
        cases=lambda rng: [(rng.random(),)],
        named=["x"],
        source="",
        hints=HINTS,
        slips=(),
        why="",
    ),
    "99.4": Design(
        flaw=lambda answer, *, at: None if answer > at else "It is too small.",
        example="4",
        hints=HINTS,
        slips=(),
        why="",
    ),
}


def write(path: Path, cells: list[NotebookNode]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two notebooks, in which the command line is used; returns the first of them."""
    answers = ModuleType("rb_support.teach.answers.of_99")
    answers.EXERCISES = ASKED  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, answers.__name__, answers)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "rb-support"\n')
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "glossary.md").write_text("# Glossary\n\n## Words\n\n### Hull\nSee [hull](#hull).\n")
    write(tmp_path / "notebooks" / "01_made.ipynb", made_notebook())
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "notebooks" / "00_made.ipynb", made_notebook())


def run(*arguments: object, code: int = 0) -> str:
    result = runner.invoke(app, ["classroom", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def deck_of(path: Path) -> list[building.Slide]:
    return building.slides(page.read(path), page.away, path)


# Slides


def test_every_command_has_help() -> None:
    for command in ("slides", "student", "pdf"):
        assert "--out" in run(command, "--help")
    assert "Exit codes" in run("--help")


def test_tags_make_slides_and_headings_do(made: Path) -> None:
    titles = [slide.title for slide in deck_of(made)]
    assert titles == [
        "00 · Made",
        "00 · Made",
        "1 A point",
        "1 A point",
        "1 A point",
        "2 A heading in a cell",
    ]


def test_the_opening_becomes_a_title_and_what_one_learns(made: Path) -> None:
    first, second, *_ = deck_of(made)
    assert first.opens and "what a hull is" in first.blocks[0] and len(first.blocks) == 1
    assert (
        "draw one" in second.blocks[0]
        and "nothing" in second.blocks[1]
        and 'alt="A hull"' in second.blocks[2]
    )
    assert "1 minute" in "".join(first.notes) and "02_oracle" not in "".join([*first.blocks, *second.blocks])


def test_output_is_shown_and_code_only_where_asked_for(made: Path) -> None:
    deck = deck_of(made)
    assert "<td>7</td>" in "".join(deck[2].blocks)
    shown = re.sub(r"<[^>]+>", "", "".join(block for slide in deck for block in slide.blocks))
    assert "secret_of_the_table" not in shown and "answer = 6 * 7" in shown and "42" in shown
    assert "books" not in shown and "Not answered" not in shown


def test_what_is_said_between_becomes_notes(made: Path) -> None:
    notes = re.sub(r"<[^>]+>", "", "".join(deck_of(made)[2].notes))
    assert (
        "Said, and not shown." in notes
        and "secret_of_the_table" in notes
        and "Three hulls, said only." in notes
    )
    assert "By hand" not in "".join(note for slide in deck_of(made) for note in slide.notes)


def test_formulas_are_mathml(made: Path) -> None:
    html = "".join(deck_of(made)[2].blocks)
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in html and "<mfrac>" in html
    assert "$" not in html


def test_a_slide_on_which_nothing_came_out_is_left_out(made: Path) -> None:
    write(
        made,
        [text("# 00 · T", "slide"), text("## Of the papers", "slide"), code("if papers: 1", "slide-more")],
    )
    assert [slide.title for slide in deck_of(made)] == ["00 · T"]


def test_a_picture_that_is_not_wide_stands_beside_some_words() -> None:
    square, wide = (f'<figure data-ratio="{ratio}"></figure>' for ratio in ("1.2", "3.0"))
    words = f"<p>{'word ' * 20}</p>"
    assert building.Slide("", [words, square]).beside
    assert not building.Slide("", [words, wide]).beside
    assert not building.Slide("", [words, square, square]).beside
    assert not building.Slide("", [words * 10, square]).beside
    assert not building.Slide("", [words, square, '<div class="table"></div>']).beside


def test_slides_are_a_folder_that_is_whole(made: Path) -> None:
    out = run("slides", "--out", "build/slides")
    assert "00_made: 6 slides" in out and "01_made: 6 slides" in out
    folder = Path("build/slides")
    pages = sorted(folder.glob("*.html"))
    assert [path.name for path in pages] == ["00_made.html", "01_made.html", "glossary.html", "index.html"]
    for path in pages:
        html = path.read_text()
        for kind, target in _targets(html):
            if not target.startswith(("data:", "https://arxiv.org/")):
                name, _, place = target.partition("#")
                there = folder / name if name else path
                assert there.is_file(), (kind, target)
                assert not place or f'id="{place}"' in there.read_text()
    for licensed in ("reveal/LICENSE", "reveal/fonts/LICENSE"):
        assert "ermission" in (folder / licensed).read_text()
    assert str(Path.cwd()) not in "".join(path.read_text() for path in pages)


def _targets(html: str) -> list[tuple[str, str]]:
    links = re.findall(r'(src|href)="([^"]+)"', html)
    return links + [("url", target) for target in re.findall(r'url\("([^"]+)"\)', html)]


def test_words_lead_to_the_glossary_and_other_slides_and_nowhere_else(made: Path) -> None:
    write(
        made, [*made_notebook(), text("[on](01_made.ipynb) [off](02_x.ipynb) [home](../README.md)", "slide")]
    )
    run("slides")
    html = Path("build/slides/00_made.html").read_text()
    assert '<a href="glossary.html#hull">hull</a>' in html and '<a href="01_made.html">on</a>' in html
    assert "02_x" not in html and "README" not in html and "off home" in html


def test_what_cannot_be_shown_is_said(made: Path) -> None:
    write(made, [text("# 00 · No tags")])
    assert "no cell is tagged slide" in run("slides", made, code=1)
    never = code("x = 1", "slide-more")
    never.execution_count = None
    write(made, [text("# 00 · T", "slide"), never])
    assert "cell 2 is to be shown and has not been run" in run("slides", made, code=1)
    made.write_text("no notebook")
    assert "this is no notebook" in run("slides", made, code=1)
    assert "is not there" in run("slides", "nowhere.ipynb", code=2)
    shutil.rmtree("notebooks")
    assert "no folder of notebooks" in run("slides", code=2)


def test_what_is_not_installed_is_said(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sphinx_revealjs", None)
    assert "pip install 'rb-support[classroom]'" in run("slides", code=2)


def test_every_formula_of_the_notebooks_can_be_set() -> None:
    formulas = re.compile(r"\$\$(.+?)\$\$|(?<![$\\])\$([^$]+?)\$", flags=re.S)
    sources = [cell.source for path in MAIN for cell in page.read(path).cells if cell.cell_type == "markdown"]
    found = [block or line for source in sources for block, line in formulas.findall(source)]
    assert len(found) > 50
    for formula in found:
        assert "\\" not in page.mathml(formula), formula


@pytest.mark.parametrize("path", MAIN, ids=lambda path: path.stem)
def test_slides_of_the_notebooks(path: Path) -> None:
    deck = deck_of(path)
    assert len(deck) >= 5 and deck[0].opens and all(slide.blocks or slide.opens for slide in deck)


# The students' folder


def student_of(path: Path) -> NotebookNode:
    run("student", path, "--out", "build/student")
    return page.read(Path("build/student") / path.name)


def assert_nbgrader_takes(notebook: NotebookNode) -> None:
    """The rules of version 3 of nbgrader's metadata: its v3.json, and what MetadataValidatorV3 asks."""
    nbformat.validate(notebook)
    known = [
        (cell.cell_type, cell.metadata.nbgrader) for cell in notebook.cells if "nbgrader" in cell.metadata
    ]
    names = [meta.grade_id for _, meta in known]
    assert len(names) == len(set(names)) > 0
    for kind, meta in known:
        assert set(meta) - {"points"} == {"schema_version", "grade_id", "grade", "solution", "locked", "task"}
        assert meta.schema_version == 3 and re.fullmatch(r"[a-zA-Z0-9_\-]+", meta.grade_id)
        assert all(isinstance(meta[key], bool) for key in ("grade", "solution", "locked", "task"))
        assert meta.grade or meta.solution or meta.locked
        assert ("points" in meta) == meta.grade and meta.get("points", 1) > 0
        if kind == "markdown":
            assert meta.grade == meta.solution
        assert not (meta.solution and meta.locked)


def test_nbgrader_takes_the_made_notebook(made: Path) -> None:
    assert_nbgrader_takes(student_of(made))


def test_an_exercise_becomes_an_answer_and_a_check(made: Path) -> None:
    cells = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in student_of(made).cells
        if "nbgrader" in cell.metadata
    }
    assert cells["99-1-answer"].source == "answer_1 = None  # share"
    assert cells["99-1-check"].source.splitlines() == [
        'teach.check("99.1", answer_1)',
        'assert teach.solved("99.1", answer_1), "99.1 is not solved yet"',
    ]
    assert cells["99-4-check"].source.splitlines()[0] == "budget = 3"
    assert 'solved("99.4", answer_4, at=budget)' in cells["99-4-check"].source
    points = {
        name: cell.metadata.nbgrader.get("points") for name, cell in cells.items() if name.endswith("check")
    }
    assert points == {"99-1-check": 1, "99-3-check": 3, "99-4-check": 2}
    assert cells["99-1-check"].metadata.nbgrader.locked and not cells["99-1-answer"].metadata.nbgrader.locked
    assert cells["00-open"].cell_type == "markdown" and cells["00-open"].metadata.nbgrader.points == 5


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("99-1", "answer_1 = 6", "answer_1 = 7"),
        ("99-3", "def twice(x):\n    return 2 * x\n\nanswer_3 = twice", "answer_3 = lambda x: x"),
        ("99-4", "answer_4 = 3.5", "answer_4 = 2"),
    ],
)
def test_a_check_passes_for_a_right_answer_only(made: Path, name: str, right: str, wrong: str) -> None:
    cells = {
        cell.metadata.nbgrader.grade_id: cell
        for cell in student_of(made).cells
        if "nbgrader" in cell.metadata
    }
    check = cells[f"{name}-check"].source
    for answer in (cells[f"{name}-answer"].source, wrong):
        names: dict[str, Any] = {"teach": teach}
        exec(answer, names)
        with pytest.raises(AssertionError, match="not solved yet"):
            exec(check, names)
    names = {"teach": teach}
    exec(right, names)
    exec(check, names)


def test_students_see_no_answers_and_no_sign_of_solutions(made: Path) -> None:
    notebook = student_of(made)
    sources = "\n".join(cell.source for cell in notebook.cells)
    assert "solutions" not in sources.lower() and "place of `None`. Hints come." in sources
    exercises = [cell for cell in notebook.cells if cell.cell_type == "code" and "nbgrader" in cell.metadata]
    assert not any(cell.outputs or cell.execution_count for cell in exercises)
    assert "[hull](glossary.md#hull)" in sources and Path("build/student/glossary.md").is_file()
    assert sorted(path.name for path in Path("build/student").iterdir()) == ["00_made.ipynb", "glossary.md"]


def test_students_keep_what_the_other_cells_show(made: Path) -> None:
    before, after = page.read(made), student_of(made)
    kept = [cell for cell in before.cells if cell.get("outputs") and "exercise" not in page.tags(cell)]
    shown = json.dumps([cell.outputs for cell in kept]).replace("../docs/", "")
    assert [cell.outputs for cell in after.cells if cell.get("outputs")] == json.loads(shown)
    assert "../docs/" not in nbformat.writes(after)


@pytest.mark.parametrize(
    "source",
    [
        'teach.check("99.1", answer_1)',
        'answer_1 = None\nteach.check(answer_1, 3, hint="")',
        'answer_1 = None\nteach.check("99.1", answer_1)\nprint(1)',
        'answer_1 = None\nteach.check("00.99", answer_1)',
        'answer_1 = None\nteach.check("98.1", answer_1)',
    ],
)
def test_an_exercise_that_cannot_be_split_is_named(made: Path, source: str) -> None:
    write(made, [text("# 00 · T"), code(source, "exercise")])
    out = run("student", made, code=1)
    assert "00_made.ipynb, cell 2: " in out and "exercise" in out


def test_a_notebook_without_exercises_is_named(made: Path) -> None:
    write(made, [text("# 00 · T")])
    assert "there is no exercise" in run("student", made, code=1)


@pytest.mark.parametrize("path", MAIN, ids=lambda path: path.stem)
def test_nbgrader_takes_the_notebooks(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("student", path, "--out", tmp_path)
    notebook = page.read(tmp_path / path.name)
    assert_nbgrader_takes(notebook)
    sources = "\n".join(cell.source for cell in notebook.cells)
    assert "solutions/" not in sources and "../docs/" not in sources
    for name in re.findall(r"\]\(([\w-]+\.md)", sources):
        assert (tmp_path / name).is_file()


# The pages for teachers

TEACHING = sorted((ROOT / "docs" / "teaching").glob("*.md"))
pages = pytest.mark.parametrize("path", TEACHING, ids=lambda path: path.stem)


@pages
def test_links_of_the_teachers_pages_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if not target.startswith("https://"):
            name, _, place = target.partition("#")
            there = (path.parent / name).resolve() if name else path
            assert there.is_file(), target
            assert not place or f'id="{place}"' in building.anchored(page.markdown(there.read_text())), target


@pages
def test_exercises_that_teachers_are_told_of_exist(path: Path) -> None:
    for name in re.findall(r"\b0\d[ab]?\.\d\b", path.read_text()):
        assert exercise(name)


@pages
def test_sections_that_teachers_are_told_of_exist(path: Path) -> None:
    told = r"\b(0\d[ab]?)(?:\]\([^)]*\))?, sections? (\d+(?:(?:, | and | to )\d+)*)"
    for number, sections in re.findall(told, path.read_text()):
        [notebook] = [other for other in MAIN if other.stem.startswith(f"{number}_")]
        headings = "\n".join(
            cell.source for cell in page.read(notebook).cells if cell.cell_type == "markdown"
        )
        for section in re.findall(r"\d+", sections):
            assert re.search(rf"^## {section} ", headings, flags=re.M), (number, section)


@pytest.mark.parametrize("name", ["lesson-1", "lesson-2"])
def test_a_lesson_takes_ninety_minutes(name: str) -> None:
    lesson = (ROOT / "docs" / "teaching" / f"{name}.md").read_text()
    spans = [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+)–(\d+) \|", lesson, flags=re.M)]
    assert spans[0][0] == 0 and spans[-1][1] == 90
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    asked = [int(minute) for minute in re.findall(r"^\*\*Minute (\d+)", lesson, flags=re.M)]
    assert len(asked) >= 8 and asked == sorted(asked) and asked[-1] < 90


def test_misconceptions_have_a_cure_each() -> None:
    rows = re.findall(
        r"^\| (\".+)$", (ROOT / "docs" / "teaching" / "misconceptions.md").read_text(), flags=re.M
    )
    assert len(rows) >= 8
    assert all(re.search(r"section|exercise", row.split(" | ")[2]) for row in rows)


# Paper


def test_no_browser_is_said(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "BROWSERS", ("no-browser-of-this-name",))
    assert "Chromium, Chrome or Edge is not found" in run("pdf", made, code=2)
    assert "mosaic is not found" in run("pdf", made, "--browser", "mosaic", code=2)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for a browser")
def test_a_browser_that_fails_is_said(made: Path) -> None:
    script = Path("browser")
    script.write_text("#!/bin/sh\necho out of paper >&2\nexit 3\n")
    script.chmod(0o755)
    assert "out of paper" in run("pdf", made, "--browser", script.resolve(), code=1)
    assert list(Path("build/pdf").iterdir()) == []


def test_only_notebooks_and_markdown_are_printed(made: Path) -> None:
    with pytest.raises(page.ClassroomError, match="only notebooks"):
        paper.document(made.parent.parent / "pyproject.toml")


def test_paper_shows_code_but_what_is_folded_and_no_local_link(made: Path) -> None:
    html = paper.document(made)
    shown = re.sub(r"<[^>]+>", "", html)
    assert "secret_of_the_table" in shown and "said(" not in shown and "said only" in shown
    assert "glossary.md" not in html and '<a href="https://arxiv.org' in html
    assert "<title>00 · Made</title>" in html


def pages_of(pdf: Path) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes()))


def test_a_notebook_is_printed(made: Path, chromium: str) -> None:
    run("pdf", made)
    pdf = Path("build/pdf/00_made.pdf")
    assert pdf.read_bytes().startswith(b"%PDF") and pages_of(pdf) >= 1
    assert [path.name for path in Path("build/pdf").iterdir()] == ["00_made.pdf"]
    assert str(Path.cwd()).encode() not in pdf.read_bytes()


def test_the_handout_is_one_page(tmp_path: Path, chromium: str) -> None:
    run("pdf", ROOT / "docs" / "teaching" / "handout.md", "--out", tmp_path)
    assert pages_of(tmp_path / "handout.pdf") == 1


# In a real browser


@pytest.fixture(scope="module")
def window(browser: Any) -> Any:
    """A browser's window at 1280 x 720; its `said` lists console messages, errors and requests that leave."""
    opened = browser.new_page(viewport={"width": 1280, "height": 720})
    opened.said = []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("requestfailed", lambda request: opened.said.append(request.url))
    opened.on("request", lambda request: opened.said.extend(_leaving(request.url)))
    return opened


def _leaving(url: str) -> list[str]:
    return [] if urlparse(url).scheme in ("file", "data", "blob", "about") else [unquote(url)]


def play(window: Any, path: Path) -> int:
    """Open slides in the window; returns how many there are now."""
    window.said.clear()
    window.goto(path.resolve().as_uri())
    window.wait_for_function("window.Reveal && Reveal.isReady()")
    return window.evaluate("Reveal.getTotalSlides()")


OVERFLOWS = """() => {
    const inner = document.querySelector(".slides > section.present .slide").getBoundingClientRect();
    const parts = [...document.querySelectorAll(".slides > section.present .slide *")];
    return parts.filter(e => !e.closest("math *, td, th, tr, tbody, thead"))
      .map(e => [e, e.getBoundingClientRect()])
      .filter(([e, r]) => r.width)
      .filter(([e, r]) => r.bottom > inner.bottom - 20 || r.right > inner.right - 20 || r.left < 0)
      .map(([e, r]) => `${e.tagName} ${Math.round(r.right)} ${Math.round(r.bottom)}`);
}"""


SMALL_PICTURES = """() => {
    const boxes = [...document.querySelectorAll(".present figure")].map(e => e.getBoundingClientRect());
    return boxes.filter(box => box.width < 500 || box.height < 300).map(box => [box.width, box.height]);
}"""


def assert_every_slide_fits(window: Any, count: int) -> None:
    for number in range(count):
        window.evaluate(f"Reveal.slide({number})")
        assert window.evaluate(OVERFLOWS) == [], (number, window.url)
        assert window.evaluate(SMALL_PICTURES) == [], (number, window.url)
        size = window.evaluate(
            "parseFloat(getComputedStyle(document.querySelector('.present .body')).fontSize)"
        )
        assert size >= 20
    assert window.said == []


def crowded() -> list[NotebookNode]:
    words, row = "Words that fill a slide and more than that. ", "<td>0.123 [0.045, 0.678]</td>"
    items = "\n".join(f"{number}. {words}" for number in range(1, 30))
    high = "<tr>" + row * 4 + "</tr>"
    return [
        text("# 00 · Crowded\n\n**Asks** " + words * 3, "slide"),
        text("## Long text\n\n" + "\n\n".join([words * 6] * 5), "slide"),
        text("## Long list\n\n" + items, "slide"),
        text("## High table\n\n" + words, "slide"),
        code("t", "slide-more", html=f"<table><tbody>{high * 60}</tbody></table>"),
        text("## Wide table", "slide"),
        code("t", "slide-more", html=f"<table><tbody><tr>{row * 16}</tr></tbody></table>"),
        text("## Text and picture\n\n" + words * 3, "slide"),
        code("p", "slide-more", png=DOT),
        text("## Much code", "slide"),
        code("\n".join(f"print({n}, 'a line of code that is rather long' * 100)" for n in range(45)),
             "slide-more", "slide-code", plain="x" * 3000),
        text(r"## A formula" + "\n\n$$" + " + ".join([r"\frac{a_1}{b_2}"] * 40) + "$$", "slide"),
    ]  # fmt: skip


def test_crowded_slides_fit(made: Path, window: Any) -> None:
    write(made, crowded())
    run("slides")
    count = play(window, Path("build/slides/00_made.html"))
    assert count > 7 + 2  # the text and the list go on on slides of their own
    assert_every_slide_fits(window, count)
    shown = window.evaluate("document.querySelector('.slides').textContent")
    assert all(f"print({n}," in shown for n in range(45)) or "more" in shown
    assert "more rows in the notebook" in shown
    assert window.evaluate("[...document.querySelectorAll('ol')].flatMap(o => [...o.children]).length") == 29
    starts = window.evaluate("[...document.querySelectorAll('ol')].map(o => [o.start, o.children.length])")
    assert [start for start, _ in starts] == [1 + sum(n for _, n in starts[:k]) for k in range(len(starts))]


def test_a_picture_fills_its_room_and_letters_are_large(made: Path, window: Any) -> None:
    run("slides")
    play(window, Path("build/slides/00_made.html"))
    window.evaluate("Reveal.slide(0)")
    assert window.evaluate("document.querySelector('.present .slide').style.fontSize") == "37px"
    window.evaluate("Reveal.slide(5)")
    box = window.evaluate("document.querySelector('.present img').getBoundingClientRect().toJSON()")
    assert box["height"] > 400


def test_what_follows_a_guess_waits(made: Path, window: Any) -> None:
    guess = "## Guess\n\nA claim.\n\n> **Predict before you run.** How many?"
    cells = [text("# 00 · T", "slide"), text(guess, "slide"), code("n", "slide-more", plain="42")]
    write(made, [*cells, text("## Quote\n\n> A quote.", "slide"), code("n", "slide-more", plain="43")])
    run("slides")
    play(window, Path("build/slides/00_made.html"))
    window.evaluate("Reveal.slide(1)")
    visible = "[...document.querySelectorAll('.present .body > *')].map(e => getComputedStyle(e).visibility)"
    assert window.evaluate(visible) == ["visible", "visible", "hidden"]
    window.evaluate("Reveal.next()")
    window.wait_for_function(f"{visible}.every(shown => shown === 'visible')")
    window.evaluate("Reveal.slide(2)")
    assert window.evaluate(visible) == ["visible", "visible"]


def test_the_speaker_sees_the_notes(made: Path, window: Any) -> None:
    run("slides")
    play(window, Path("build/slides/00_made.html"))
    window.evaluate("Reveal.slide(2)")
    with window.expect_popup() as opened:
        window.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_function(
        "document.querySelector('.speaker-controls-notes .value')?.textContent.includes('not shown')"
    )
    speaker.close()
    assert window.said == []


def test_everybody_can_read_the_folder(made: Path, window: Any) -> None:
    """Contrast, names, landmarks and the like, as axe-core sees them; reveal.js answers for its arrows."""
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python missing").Axe()
    run("slides")
    play(window, Path("build/slides/00_made.html"))
    for path in sorted(Path("build/slides").glob("*.html")):
        window.goto(path.resolve().as_uri())
        window.wait_for_function("!window.Reveal || Reveal.isReady()")
        found = [(v["id"], v["nodes"][0]["html"]) for v in axe.run(window)["violations"]]
        assert [pair for pair in found if not pair[1].startswith('<aside class="controls"')] == []


@pytest.mark.parametrize("path", MAIN, ids=lambda path: path.stem)
def test_slides_of_the_notebooks_fit(path: Path, tmp_path: Path, window: Any) -> None:
    run("slides", path, "--out", tmp_path)
    assert_every_slide_fits(window, play(window, tmp_path / f"{path.stem}.html"))

"""A folder for students: exercises open, no solutions, and what nbgrader wants to know of each cell."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from rb_support.app.classroom import page
from rb_support.app.classroom.page import ClassroomError, tags
from rb_support.teach.exercises import Design, Exercise, Task, exercise

POINTS: dict[type[Exercise], int] = {Task: 3, Design: 2}
"""Points of what is harder than a number, which gets one."""
OPEN_POINTS = 5
"""Most points for the open question, which the teacher gives."""
SCHEMA = 3
"""Version of nbgrader's metadata."""
PAGE = re.compile(r"\]\(\.\./docs/([\w-]+\.md)(#[\w-]*)?\)")
"""A link from a notebook to a page of the documentation, in its text or in a sentence that code makes."""
SOLVED_AT = re.compile(
    r"(?:(?<=[.!?])\s+|(?m:^))(?:[^.!?\n]|\n(?!\n))*?solutions/(?:[^.\n]|\n(?!\n)|\.(?=\w))*\.?"
)
"""A sentence that says where solutions are."""
OWN_WORDS = "*Your answer, in your own words: in place of this line.*"


@dataclass(frozen=True)
class Checked:
    """An exercise's code cell, taken apart.

    Attributes
    ----------
    name : such as "03.1".
    answer : source up to the line where the answer goes.
    check : the rest, which says whether it is right.
    arguments : the arguments of `teach.check`, as source.
    points : what a right answer is worth.
    """

    name: str
    answer: str
    check: str
    arguments: str
    points: int


def build(notebooks: Sequence[Path], out: Path, docs: Path) -> Iterator[tuple[str, int]]:
    """Write students' notebooks into a folder, with the pages that they link to.

    Parameters
    ----------
    notebooks : files.
    out : folder, made if need be.
    docs : folder of the pages.

    Yields
    ------
    A notebook's name and its exercises' points, each as it is written.

    Raises
    ------
    ClassroomError
        If a notebook has no exercise, or one that cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    linked: set[str] = set()
    for path in notebooks:
        made = student(page.read(path), path)
        for cell in made.cells:  # code too: sentences that are filled from the run have links
            told = [output.data for output in cell.get("outputs", []) if "data" in output]
            for holder, key in [(cell, "source"), *((data, "text/markdown") for data in told)]:
                linked |= {name for name, _ in PAGE.findall(holder.get(key, ""))}
                if key in holder:
                    holder[key] = PAGE.sub(r"](\1\2)", holder[key])
        nbformat.write(made, out / path.name)
        yield path.stem, sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in made.cells)
    for name in sorted(linked):
        shutil.copyfile(docs / name, out / name)


def student(notebook: NotebookNode, path: Path) -> NotebookNode:
    """A notebook for students: an exercise's code cell becomes one to answer in and one that gives points.

    Questions are locked, and so are checks. After an open question stands a cell for words, which a teacher
    grades.

    Raises
    ------
    ClassroomError
        If there is no exercise, or one whose code is not what the notebooks' exercises are.
    """
    cells: list[NotebookNode] = []
    name = path.stem.split("_")[0]
    asked = 0
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and "teach.check(" in cell.source:
            cells += _exercise(_taken_apart(cell.source, f"{path}, cell {number}"))
        elif cell.cell_type == "markdown" and "exercise" in tags(cell):
            asked += 1
            cells.append(_graded(cell, f"{name}-question-{asked}", locked=True))
            if "**Open.**" in cell.source:
                words = new_markdown_cell(OWN_WORDS)
                cells.append(_graded(words, f"{name}-open", points=OPEN_POINTS, solution=True))
        else:
            cells.append(cell)
        if cell.cell_type == "markdown":
            cell.source = SOLVED_AT.sub("", cell.source)
    if len(cells) == len(notebook.cells):
        raise ClassroomError(f"{path}: there is no exercise for students")
    made = nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
    return made


def _taken_apart(source: str, where: str) -> Checked:
    """An exercise's code cell in parts.

    Raises
    ------
    ClassroomError
        If it does not hold `answer_… = None` and then one `teach.check("name", answer_…, …)` of a name
        that is known.
    """
    statements = ast.parse(source).body
    open_until = [
        statement.end_lineno or 0
        for statement in statements
        if isinstance(statement, ast.Assign) and ast.unparse(statement.value) == "None"
    ]
    match statements[-1]:
        case ast.Expr(value=ast.Call(args=[ast.Constant(value=str(name)), ast.Name(), *_]) as call) if (
            len(open_until) == 1 and ast.unparse(call.func) == "teach.check"
        ):
            pass
        case _:
            wanted = 'answer_1 = None, then teach.check("00.1", answer_1, …)'
            raise ClassroomError(f"{where}: an exercise is {wanted}")
    lines = source.splitlines()
    arguments = (ast.get_source_segment(source, call) or "").removeprefix("teach.check(").removesuffix(")")
    answer, check = "\n".join(lines[: open_until[0]]), "\n".join(lines[open_until[0] :]).strip()
    try:
        points = POINTS.get(type(exercise(name)), 1)
    except (KeyError, ModuleNotFoundError) as error:
        raise ClassroomError(f"{where}: there is no exercise {name} in rb_support.teach.answers") from error
    except ValueError as error:  # the file of the answers is damaged
        raise ClassroomError(f"{where}: {error}") from error
    return Checked(name, answer, check, arguments, points)


def _exercise(checked: Checked) -> list[NotebookNode]:
    name = checked.name.replace(".", "-")
    tested = f'{checked.check}\nassert teach.solved({checked.arguments}), "{checked.name} is not solved yet"'
    return [
        _graded(new_code_cell(checked.answer), f"{name}-answer", solution=True),
        _graded(new_code_cell(tested), f"{name}-check", points=checked.points, locked=True),
    ]


def _graded(
    cell: NotebookNode, name: str, *, points: int = 0, solution: bool = False, locked: bool = False
) -> NotebookNode:
    """A cell with nbgrader's metadata; with points it is graded."""
    known = {
        "schema_version": SCHEMA,
        "grade_id": name,
        "grade": bool(points),
        "solution": solution,
        "locked": locked,
    }
    cell.metadata["nbgrader"] = {**known, "task": False, **({"points": points} if points else {})}
    cell.metadata["tags"] = sorted({*tags(cell), "exercise"})
    return cell

"""Notebooks and Markdown pages as PDF, printed by a browser, which sets MathML, SVG and tables well."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from nbformat import NotebookNode

from rb_support.app.classroom import page
from rb_support.app.classroom.page import ClassroomError, MissingError, tags

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)
PATIENCE = 180
"""Seconds that a browser may take for one file."""


def browser(name: str | None = None) -> str:
    """The path of a browser that can print: the one that is named, else the first that is found.

    Raises
    ------
    MissingError
        If there is none.
    """
    names = (name,) if name else BROWSERS
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        looked = name or "Chromium, Chrome or Edge"
        raise MissingError(f"{looked} is not found, and a PDF is printed by it; name one with --browser")
    return found


def document(path: Path) -> str:
    """A notebook, or a Markdown page, as one page of HTML for A4 paper.

    Raises
    ------
    ClassroomError
        If it is neither.
    """
    if path.suffix == ".ipynb":
        notebook = page.read(path)
        blocks = [
            block
            for number, cell in enumerate(notebook.cells, start=1)
            for block in _blocks(cell, number, path)
        ]
    elif path.suffix == ".md":
        blocks = [page.markdown(path.read_text(encoding="utf-8"), folder=path.parent)]
    else:
        raise ClassroomError(f"{path}: only notebooks (.ipynb) and Markdown (.md) are printed")
    head = page.heading(
        notebook.cells[0].source if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    )
    body, numbered = "\n".join(blocks), path.suffix == ".ipynb"
    return page.filled(
        "document", title=head or path.stem, body=body, numbered=numbered, code_style=page.code_style()
    )


def _blocks(cell: NotebookNode, number: int, path: Path) -> list[str]:
    """A cell as it is read: its text, its code unless that is folded away, and what came out."""
    if cell.cell_type == "markdown":
        return [page.markdown(cell.source, folder=path.parent)]
    if cell.cell_type != "code":
        return []
    hidden = "hide-input" in tags(cell) or not cell.source.strip()
    return [*([] if hidden else [page.code(cell.source)]), *page.outputs(cell, f"What cell {number} shows")]


def write(path: Path, out: Path, program: str) -> Path:
    """Print a file to `out/<its name>.pdf`; returns that path. No request leaves this machine.

    Raises
    ------
    ClassroomError
        If the browser fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    pdf = out.resolve() / f"{path.stem}.pdf"
    with TemporaryDirectory(dir=out, prefix="printing-") as folder:  # a browser from a snap sees no /tmp
        source = Path(folder).resolve() / "page.html"
        source.write_text(document(path), encoding="utf-8")
        command = [program, "--headless", "--disable-gpu", "--no-pdf-header-footer", "--no-first-run"]
        command += [f"--user-data-dir={source.parent / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        if os.name == "posix" and os.geteuid() == 0:
            command.append("--no-sandbox")  # which root, in a container mostly, has to do without
        made = source.with_suffix(".pdf")
        try:
            ended = subprocess.run(
                [*command, f"--print-to-pdf={made}", source.as_uri()],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired as error:
            raise ClassroomError(f"{path}: {program} has not printed it in {PATIENCE} s") from error
        if ended.returncode or not made.is_file():
            raise ClassroomError(f"{path}: {program} has not printed it: {ended.stderr.strip()[-300:]}")
        made.replace(pdf)
    return pdf

"""What is to be run: notebooks found, settings checked against their parameters before anything starts.

And what need not: a notebook whose last good run was made from the same and wrote what lies there.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill

from rb_support.cache import digest, write_atomically
from rb_support.report import store
from rb_support.report.provenance import code_cells, package_digest, versions

SCALES = ("quick", "full")


class UsageError(ValueError):
    """The command cannot be run as given; the message says what would be right."""


@dataclass(frozen=True)
class NotebookRun:
    """A notebook to run, with the parameters it will get.

    Attributes
    ----------
    path : the notebook.
    parameters : values handed to it; those not named keep the notebook's defaults.
    cells : number of its code cells that will run.
    target : where the executed notebook goes; the notebook itself to refresh its outputs.
    folder : for the notebook if a cell fails.
    """

    path: Path
    parameters: Mapping[str, Any]
    cells: int
    target: Path
    folder: Path

    @property
    def name(self) -> str:
        """File name without ending, such as "03_predictive_routers"."""
        return self.path.stem

    @property
    def failed(self) -> Path:
        """Where the notebook is kept when a cell fails."""
        return self.folder / f"{self.name}.failed.ipynb"


def discover(notebooks: Path, only: Sequence[str] = (), *, solutions: bool = False) -> list[Path]:
    """Notebooks `NN_*.ipynb` of a folder, in order; with `only`, those whose name begins with one of them.

    With `solutions`, those in its folder `solutions` follow.

    Raises
    ------
    UsageError
        If the folder has no notebook, or one of `only` fits none.
    """
    folders = [notebooks, notebooks / "solutions"] if solutions else [notebooks]
    found = [path for folder in folders for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]
    if not found:
        raise UsageError(f"no notebook NN_*.ipynb in {notebooks}: run this inside the repository")
    unmatched = [prefix for prefix in only if not any(path.name.startswith(prefix) for path in found)]
    if unmatched:
        names = ", ".join(path.stem for path in found)
        raise UsageError(f"--only {unmatched[0]} fits no notebook; there are {names}")
    return [path for path in found if not only or path.name.startswith(tuple(only))]


def plan_runs(
    paths: Sequence[Path],
    folder: Path,
    *,
    data: str | None = None,
    scale: str | None = None,
    settings: Sequence[str] = (),
) -> list[NotebookRun]:
    """Give each notebook those of the wanted parameters that it has.

    Parameters
    ----------
    paths : notebooks to run.
    folder : for the executed notebooks.
    data, scale : values of the parameters of these names; None leaves the notebooks' defaults.
    settings : "name=value" texts, converted to the type of the notebook's parameter.

    Raises
    ------
    UsageError
        For a setting that no selected notebook has, or whose value is not of the parameter's type.
    """
    known = {path: papermill.inspect_notebook(path) for path in paths}
    wanted = parse_settings(settings)
    names = sorted({name for parameters in known.values() for name in parameters} - {"data", "scale"})
    for name in (name for name in wanted if name not in names):
        raise UsageError(f"--set {name}: no selected notebook has it; known are {', '.join(names) or 'none'}")
    common = {name: value for name, value in (("data", data), ("scale", scale)) if value is not None}
    runs = []
    for path, parameters in known.items():
        chosen = {name: value for name, value in common.items() if name in parameters}
        for name in wanted.keys() & parameters.keys():
            chosen[name] = convert(wanted[name], parameters[name], path.stem)
        cells = sum(bool(source.strip()) for source in code_cells(path))
        runs.append(NotebookRun(path, dict(sorted(chosen.items())), cells, folder / path.name, folder))
    return runs


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """Split "name=value" texts; the options --data and --scale are not settings."""
    wanted = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--set {setting}: write it as name=value, such as --set seed=1")
        if name in ("data", "scale"):
            raise UsageError(f"--set {setting}: use --{name} {value}")
        wanted[name] = value
    return wanted


def left_out(runs: Sequence[NotebookRun], settings: Sequence[str]) -> list[str]:
    """Sentences naming the notebooks that lack a setting, which keep running without it."""
    told = []
    for name in parse_settings(settings):
        without = [run.name for run in runs if name not in run.parameters]
        if without:
            told.append(f"{name} is no parameter of {', '.join(without)}: not set there")
    return told


def convert(text: str, parameter: Mapping[str, Any], notebook: str) -> Any:
    """Value of a setting in the type that the notebook's annotation, else its default, gives.

    Raises
    ------
    UsageError
        If the text is no such value.
    """
    kind = str(parameter["inferred_type_name"])
    if kind == "None":
        kind = type(ast.literal_eval(parameter["default"])).__name__
    try:
        return _CONVERTERS.get(kind, ast.literal_eval)(text)
    except (ValueError, KeyError, SyntaxError) as error:
        raise UsageError(
            f"--set {parameter['name']}={text}: {notebook} wants {kind}, such as {parameter['default']}"
        ) from error


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
}


@dataclass(frozen=True)
class State:
    """Record of a notebook's last good run, one file of `build/state/`.

    Attributes
    ----------
    path : the record's file.
    fingerprint : hash of what the notebook would be made from now.
    """

    path: Path
    fingerprint: str

    def holds(self) -> bool:
        """Whether the last run was made from the same and all it wrote still lies there unaltered."""
        if not self.path.is_file():
            return False
        last = json.loads(self.path.read_text(encoding="utf-8"))
        return bool(last == self._record(last["outputs"]))

    def save(self, outputs: Iterable[Path]) -> None:
        """Remember a good run and the files it wrote."""
        record = self._record(sorted({str(path.resolve()) for path in outputs}))
        write_atomically(self.path, store.dump_json(record))

    def _record(self, outputs: Iterable[str]) -> dict[str, Any]:
        found = {name: digest(Path(name)) if Path(name).is_file() else None for name in outputs}
        return {"fingerprint": self.fingerprint, "outputs": found}


def fingerprint(run: NotebookRun, figures: Path) -> str:
    """Hash of all that decides what a notebook writes.

    That is its code cells, parameters, the package's files, library versions, the figures folder and the
    data: a user's table by content, a folder of published files by names and sizes (its files are checked
    by hash when they are read).
    """
    data, given = str(run.parameters.get("data", "")), os.environ.get("RB_DATA_DIR")
    files: list[tuple[str, str | int | None]] = []
    if data == "real" and given:
        found = sorted(path for path in Path(given).rglob("*") if path.is_file())
        files = [(path.relative_to(given).as_posix(), path.stat().st_size) for path in found]
    elif Path(data).is_file():
        files = [(data, digest(Path(data)))]
    code = [code_cells(run.path), package_digest(), versions()]
    return hashlib.sha256(store.dump_json([*code, dict(run.parameters), files, str(figures)])).hexdigest()

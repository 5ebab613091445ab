"""What is to be run: notebooks found, settings checked against their parameters before anything starts.

And what need not: a notebook whose last good run was made from the same and wrote what lies there.
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import papermill
from pydantic import BaseModel, DirectoryPath, Field, FilePath, TypeAdapter, ValidationError

from rb_support.cache import digest, package_digest, write_atomically
from rb_support.catalog import MODELS
from rb_support.outcomes import Outcomes, TableError
from rb_support.outcomes.checks import refuse_unknown
from rb_support.report import store
from rb_support.report.provenance import code_cells, versions

SCALES = ("quick", "full")


class UsageError(ValueError):
    """The command cannot be run as given; the message says what would be right."""


@dataclass(frozen=True, eq=False)
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
    """Notebooks `NN_*.ipynb` of a folder (`NNa_*.ipynb` too), in order; `only` has how their names begin.

    With `solutions`, those in its folder `solutions` follow.

    Raises
    ------
    UsageError
        If the folder has no notebook, or one of `only` fits none.
    """
    folders = [notebooks, notebooks / "solutions"] if solutions else [notebooks]
    found = [path for folder in folders for path in sorted(folder.glob("[0-9][0-9]*_*.ipynb"))]
    if not found:
        raise UsageError(f"no notebook NN_*.ipynb in {notebooks}: run this inside the repository")
    unmatched = [prefix for prefix in only if not any(path.name.startswith(prefix) for path in found)]
    if unmatched:
        names = ", ".join(path.stem for path in found)
        raise UsageError(f"--only {', '.join(unmatched)} fits no notebook; there are {names}")
    return [path for path in found if not only or path.name.startswith(tuple(only))]


def plan_runs(
    paths: Sequence[Path],
    folder: Path,
    *,
    given: Mapping[str, str] | None = None,
    settings: Sequence[str] = (),
    table: Outcomes | None = None,
) -> list[NotebookRun]:
    """Give each notebook those of the wanted parameters that it has.

    Parameters
    ----------
    paths : notebooks to run.
    folder : for the executed notebooks.
    given : values of `data` and `scale`; those not named keep the notebooks' defaults.
    settings : "name=value" texts, converted to the type of the notebook's parameter.
    table : the own table that is asked for, whose models `strong` and `weak` may name.

    Raises
    ------
    UsageError
        Naming every setting that no selected notebook has, or whose value does not fit.
    """
    known = {path: papermill.inspect_notebook(path) for path in paths}
    wanted = parse_settings(settings)
    names = sorted({name for parameters in known.values() for name in parameters} - {"data", "scale"})
    wrong = [
        f"--set {name}: no selected notebook has it; known are {', '.join(names) or 'none'}"
        for name in sorted(wanted.keys() - set(names))
    ]
    runs = []
    for path, parameters in known.items():
        chosen: dict[str, Any] = {name: value for name, value in (given or {}).items() if name in parameters}
        for name in (name for name in wanted if name in parameters):
            try:
                chosen[name] = convert(wanted[name], parameters[name], table)
            except UsageError as error:
                wrong.append(str(error))
        cells = sum(bool(source.strip()) for source in code_cells(path))
        runs.append(NotebookRun(path, dict(sorted(chosen.items())), cells, folder / path.name, folder))
    if wrong:
        raise UsageError("\n".join(dict.fromkeys(wrong)))
    return runs


def parse_settings(settings: Sequence[str], option: str = "--set") -> dict[str, str]:
    """Split "name=value" texts; the options --data and --scale are not settings.

    Parameters
    ----------
    option : that the settings were given by, for the message of an error.
    """
    wanted = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{option} {setting}: write it as name=value, such as {option} seed=1")
        if name in ("data", "scale"):
            raise UsageError(f"{option} {setting}: use --{name} {value}")
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


_COUNT, _SEED = Annotated[int, Field(ge=1, le=10**6)], Annotated[int, Field(ge=0, lt=2**32)]
_NUMBER = Annotated[float, Field(allow_inf_nan=False)]
_SHARE = Annotated[_NUMBER, Field(ge=0, le=1)]
_NAME = Annotated[str, Field(min_length=1)]

VALUES: dict[str, Any] = {
    "draws": _COUNT,
    "splits": _COUNT,
    "seeds": _COUNT,
    "k": _COUNT,
    "budgets": Annotated[_COUNT, Field(ge=2)],
    "rows": Annotated[int, Field(ge=2, le=8)],
    "seed": _SEED,
    "data_seed": _SEED,
    "comparable": _SHARE,
    "error": _SHARE,
    "error_rate": _SHARE,
    "time_sensitive_share": _SHARE,
    "budget_usd": Annotated[_NUMBER, Field(ge=0)],
    "kind": Literal["ridge", "knn", "mlp", "sw", "factorization"],
    "queries_per_month": Annotated[int, Field(ge=1)],
    "budget_per_month": Annotated[_NUMBER, Field(ge=0)],
    "quality_goal": _SHARE,
    "dear_share": _SHARE,
    "embedding": _NAME,
    "judge": _NAME,
    "strong": str,
    "weak": str,
    "models_file": FilePath | Literal[""],
    "tasks_path": FilePath | DirectoryPath | Literal[""],
    "store_file": Path | Literal[""],
}
"""What the notebooks' parameters may be, by name; every parameter of every notebook stands here."""

_LIST: TypeAdapter[Any] = TypeAdapter(Annotated[list[Any], Field(min_length=1)])
_OTHERS: dict[str, Any] = {"int": int, "float": _NUMBER, "bool": bool, "str": str}


def convert(
    text: str, parameter: Mapping[str, Any], table: Outcomes | None = None, option: str = "--set"
) -> Any:
    """Value of a setting in the type and range that its name asks for, else its annotation or default.

    Paths are made absolute, as notebooks work in another folder than this process.

    Raises
    ------
    UsageError
        If the text is no such value, or names a model that is not in the table.
    """
    name, annotation = parameter["name"], str(parameter["inferred_type_name"])
    if annotation == "None":
        annotation = type(ast.literal_eval(parameter["default"])).__name__
    kind = VALUES.get(name) or _OTHERS.get(annotation)
    try:
        if kind is None:
            value = _LIST.validate_python(ast.literal_eval(text))
        else:
            value = TypeAdapter(kind).validate_strings(text)
        if name in ("strong", "weak") and value:
            refuse_unknown(
                [value], *((table.models, table.origin.name) if table else (MODELS, "RouterBench"))
            )
    except TableError as error:
        raise UsageError(f"{option} {name}={text}: {error}") from error
    except (ValueError, SyntaxError) as error:
        found = error.errors()[-1]["msg"] if isinstance(error, ValidationError) else error
        wants = f"{annotation}, such as {parameter['default']}"
        raise UsageError(f"{option} {name}={text[:60]}: {found}; it wants {wants}") from error
    return str(value.resolve()) if isinstance(value, Path) else value


class _Record(BaseModel):
    fingerprint: str
    outputs: dict[str, str | None]


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
        last = store.read_json(self.path, _Record)
        return last is not None and last == self._record(last["outputs"])

    def save(self, outputs: Iterable[Path]) -> None:
        """Remember a good run and the files it wrote."""
        record = self._record(sorted({str(path.resolve()) for path in outputs}))
        write_atomically(self.path, store.dump_json(record))

    def _record(self, outputs: Iterable[str]) -> dict[str, Any]:
        return {
            "fingerprint": self.fingerprint,
            "outputs": {name: store.digest_of(Path(name)) for name in outputs},
        }


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

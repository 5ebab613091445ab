"""`manifest.json`, `claims.csv` and `index.html` of a figures folder, rebuilt from what lies in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from markupsafe import Markup
from pydantic import BaseModel, Field

from rb_support.cache import one_at_a_time
from rb_support.outcomes import Kind
from rb_support.paper import ITEMS, repeats
from rb_support.report import provenance, store
from rb_support.report.render import fill_template, inline_table

CLAIM_COLUMNS = ["claim", "where", "ours", "data", "verdict", "needs"]
_INLINE_BYTES = 20_000  # longer tables are linked, so that the page stays light
_LABEL = re.compile(r"(?:Figure|Table) \w+|sec\. [\d.]+|App\. \w+(?:\.\d+)?")
_ORDER = {id: place for place, id in enumerate(ITEMS)}

Record = dict[str, Any]
_FileName = Annotated[str, Field(pattern=r"^[\w-]+\.\w+$")]


# What must stand in a file of JSON; what else stands there is left alone.


class _Pair(BaseModel):
    what: str
    ours: float | str | None
    paper: float | str | None
    source: str
    why: str


class _Data(BaseModel):
    kind: Kind
    name: str


class Saved(BaseModel):
    """The record of an item, as `Report` writes it."""

    id: Annotated[str, Field(pattern=r"^[\w-]+$")]
    form: Literal["figure", "table"]
    title: str
    paper: str
    item: str
    section: str
    notebook: str
    parameters: dict[str, Any]
    seed: int | None
    data: _Data
    note: str
    alt: str = ""
    versus: list[_Pair]
    files: dict[_FileName, str]


class _Claims(BaseModel):
    notebook: str
    claims: list[dict[Literal["claim", "where", "ours", "data", "verdict", "needs"], str]]


class _Maker(BaseModel):
    code: str
    versions: dict[str, str]
    notebooks: list[str]


class _Manifest(BaseModel):
    made_by: list[_Maker]
    items: list[dict[str, Any]]


def rebuild(folder: Path, notebook: str | None = None) -> int:
    """Write a folder's manifest, claims and gallery anew; returns the number of items.

    The manifest says under `made_by` which code, with which versions, made the items of which notebooks, and
    lists every `item` in brief; hashes of its data stand in the item's own record.

    Notebooks that run at the same time may all call it: a lock beside the folder lets one write at a
    time, and whoever comes last has seen every record.

    Parameters
    ----------
    folder : `figures/simulated`, `figures/real` or an own table's.
    notebook : whose items the code at hand has just made.
    """
    with one_at_a_time(folder.with_name(f".{folder.name}.lock")):
        records, claims = read_records(folder), read_claims(folder)
        table = pd.DataFrame(claims, columns=["notebook", *CLAIM_COLUMNS])
        made_by = _made_by(folder, {record["notebook"] for record in records}, notebook)
        contents = {
            "manifest.json": store.dump_json({"made_by": made_by, "items": [_brief(r) for r in records]}),
            "claims.csv": table.to_csv(index=False, lineterminator="\n").encode(),
            "index.html": render(folder, records, claims).encode(),
        }
        if len(contents["index.html"]) > store.MAX_BYTES:  # many tables: they are linked, not shown
            contents["index.html"] = render(folder, records, claims, tables=False).encode()
        store.write(folder, contents)
    return len(records)


def rebuild_all(root: Path) -> dict[str, int]:
    """Rebuild every folder of records under `root`; the number of items of each, by its path in `root`."""
    holding = {path.parent for pattern in ("*/*.json", "own/*/*.json") for path in root.glob(pattern)}
    folders = sorted(folder.relative_to(root) for folder in holding if folder.name != "claims")
    return {folder.as_posix(): rebuild(root / folder) for folder in folders}


def read_records(folder: Path) -> list[Record]:
    """Records of all items of a folder, in the order of the papers, other items after them."""
    found = (store.read_json(path, Saved) for path in folder.glob("*.json") if path.name != "manifest.json")
    records = [record for record in found if record is not None]
    return sorted(records, key=lambda record: (_ORDER.get(record["id"], len(_ORDER)), record["id"]))


def read_manifest(folder: Path) -> Record:
    """Manifest of a folder: `made_by` and `items`, both empty if there is none."""
    return store.read_json(folder / "manifest.json", _Manifest) or {"made_by": [], "items": []}


def _made_by(folder: Path, notebooks: set[str], notebook: str | None) -> list[Record]:
    """Code and versions, and the notebooks whose items they made; normally one entry for all."""
    now = {"code": provenance.code_digest(), "versions": provenance.versions()}
    makers = []
    for maker in read_manifest(folder)["made_by"]:
        made = set(maker.pop("notebooks")) & notebooks - {notebook}
        makers.append((maker, made))
    if notebook in notebooks:
        mine = next((made for maker, made in makers if maker == now), None)
        if mine is None:
            makers.append((now, mine := set()))
        mine.add(notebook)
    return [{**maker, "notebooks": sorted(made)} for maker, made in makers if made]


def _brief(record: Record) -> Record:
    """A record without what fills pages (hashes and notes of what was read) and what a clock says."""
    data = {name: value for name, value in record["data"].items() if name not in ("files", "notes")}
    brief = {**record, "data": data}
    return {**brief, "versus": [], "files": sorted(record["files"])} if _timed(record) else brief


def _timed(record: Record) -> bool:
    """Whether an item's numbers are clock times, which would change manifest and gallery at every run."""
    return repeats(record["id"]) == "timed"


def read_claims(folder: Path) -> list[dict[str, str]]:
    """Claims of all notebooks of a folder, notebook by notebook, each in the order it was made."""
    parts = (store.read_json(path, _Claims) for path in sorted((folder / "claims").glob("*.json")))
    return [{"notebook": part["notebook"], **claim} for part in parts if part for claim in part["claims"]]


def render(folder: Path, records: list[Record], claims: list[dict[str, str]], *, tables: bool = True) -> str:
    """The gallery page: one file that needs nothing but the files beside it; tables can be linked instead."""
    kind = "own" if folder.parent.name == "own" else folder.name
    claims = [{**claim, "place": str(place)} for place, claim in enumerate(claims, start=1)]
    others = {"simulated": ["real"], "real": ["simulated"]}.get(kind, [])
    return fill_template(
        "gallery.html",
        kind=kind,
        strangers=[record for record in records if record["data"]["kind"] != kind],
        records=[{**record, "versus": []} if _timed(record) else record for record in records],
        tables={record["id"]: _inline_table(folder, record) if tables else None for record in records},
        about={record["id"]: claims_about(record, claims) for record in records},
        others=[other for other in others if (folder.with_name(other) / "manifest.json").is_file()],
        claims=claims,
    )


def claims_about(record: Record, claims: list[dict[str, str]]) -> list[dict[str, str]]:
    """The claims of an item's notebook that name its figure, table or section as their place."""
    labels = set(_LABEL.findall(f"{record['item']} {record['section']}"))
    near = (claim for claim in claims if claim["notebook"] == record["notebook"])
    told = (claim for claim in near if record["paper"] in claim["where"])
    return [claim for claim in told if labels & set(_LABEL.findall(claim["where"]))]


def _inline_table(folder: Path, record: Record) -> Markup | None:
    """The `<table>` of a saved HTML file, cells escaped already; None for figures, long and timed tables.

    None too for a file that is not as the record says: what is in it has not been escaped here.
    """
    path = folder / f"{record['id']}.html"
    recorded = record["files"].get(path.name)
    if record["form"] != "table" or _timed(record) or recorded is None or store.digest_of(path) != recorded:
        return None
    page = path.read_bytes()
    return inline_table(page.decode()) if b"</table>" in page and len(page) <= _INLINE_BYTES else None

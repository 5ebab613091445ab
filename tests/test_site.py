"""The site as files: whole, light, without a remote address, and every picture and formula in words."""

import json
import re
import sys
from collections import Counter
from urllib.parse import unquote

import pandas as pd
import pytest
from conftest import ROOT

pytest.importorskip("myst_nb", reason="the site needs the extra 'site'")
pytest.importorskip("furo", reason="the site needs the extra 'site'")

sys.path.append(str(ROOT / "docs" / "site"))
import chapters
import fill
import lite
import mathml
import shop
import site_made

from rb_support import paper

HEAVIEST = 1_500_000
NOTEBOOKS = chapters.found(ROOT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return site_made.built(tmp_path_factory)


@pytest.fixture(scope="module")
def pages(folder):
    return {page.path.relative_to(folder).as_posix(): page for page in site_made.pages(folder)}


@pytest.fixture(scope="module")
def items():
    return shop.items(ROOT / "figures")


def by_name(items):
    return {item.id: item for item in items}


def remote(address):
    return re.match(r"(https?:)?//", address)


def test_every_notebook_item_and_use_has_its_page(pages, items):
    names = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
    names += [f"gallery/{name}.html" for name in paper.ITEMS if name in {item.id for item in items}]
    names += [
        "index.html",
        "claims.html",
        "leaderboard.html",
        "gallery/index.html",
        "docs/glossary.html",
        "run.html",
        "teaching.html",
    ]
    names += ["docs/from-your-logs-to-a-router.html", "api/frontier.html", "api/studies.html", "search.html"]
    assert set(names) <= set(pages)
    assert {item.id for item in items} >= {name for name, item in paper.ITEMS.items() if item.paper != "own"}


def test_a_chapter_shows_the_outputs_that_were_committed(pages):
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        pictures = sum("image/png" in o.get("data", {}) for cell in cells for o in cell.get("outputs", []))
        shown = pages[f"notebooks/{path.stem}.html"].images
        assert len(shown) >= pictures


def test_no_page_loads_anything_from_elsewhere(pages, folder):
    for page in pages.values():
        assert not [address for address in page.loads if remote(address)], page.path
    for style in folder.rglob("*.css"):
        assert not re.search(r"(url\(|@import)[\s\"']*(https?:)?//", style.read_text(encoding="utf-8")), style


def test_no_page_weighs_more_than_a_phone_can_bear(pages):
    for page in pages.values():
        files = {
            page.path,
            *(page.file(address) for address in page.loads if not address.startswith("data:")),
        }
        weight = sum(file.stat().st_size for file in files)
        assert weight < HEAVIEST, f"{page.path.name}: {weight:,} bytes"


def test_links_and_their_anchors_are_whole(pages, folder):
    ids = {page.path: set(page.ids) for page in pages.values()}
    broken = []
    for page in pages.values():
        for address in page.links + page.loads:
            if re.match(r"[a-z]+:", address) or remote(address) or address in ("", "#"):
                continue
            file, anchor = page.file(unquote(address)), unquote(address.partition("#")[2])
            anchored = file.suffix != ".html" or not anchor or anchor in ("simulated", "real")
            if not file.exists() or not (anchored or anchor in ids[file]):
                broken.append(f"{page.path.relative_to(folder)} -> {address}")
    assert not broken


def test_no_anchor_stands_twice_on_a_page(pages):
    for page in pages.values():
        assert not [name for name, count in Counter(page.ids).items() if count > 1], page.path


def test_every_picture_says_what_it_shows(pages):
    for page in pages.values():
        for image in page.images:
            said = image.get("alt", "")
            assert len(said.split()) >= 5 and not re.search(r"\.(png|svg)|_images|[0-9a-f]{20}", said), (
                page.path,
                image,
            )
    named = {(image["alt"], image["src"].rpartition("/")[2]) for image in pages["gallery/index.html"].images}
    assert len(named) == len({alt for alt, _ in named})


def test_every_formula_became_mathml_and_none_was_left(pages):
    found = 0
    for page in pages.values():
        found += len(page.formulas)
        assert not [formula for formula in page.formulas if "\\" in formula], page.path
        assert "merror" not in page.text
        if "/notebooks/" in page.path.as_posix() or "glossary" in page.path.name:
            assert not re.search(r"\$\$|\\(frac|lambda|in|text|sum)\b", " ".join(page.prose)), page.path
    assert found > 100


@pytest.mark.parametrize(
    "latex",
    [
        r"\lambda P - cost",
        r"\frac{a}{b}",
        r"\hat q_{ij} \in [0, 1]",
        r"\text{fee}",
        r"\arg\min_w x",
        r"\operatorname*{argmax}_m",
    ],
)
def test_a_formula_converts(latex):
    assert mathml.mathml(latex).startswith("<math")


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", r"\left( x"])
def test_a_formula_that_cannot_be_converted_is_refused(latex):
    with pytest.raises(mathml.ClassroomError, match="cannot be set"):
        mathml.mathml(latex)


def test_tables_have_headers_for_people_and_as_many_rows_as_were_saved(items):
    for item in items:
        for shown in item.on:
            if item.record["form"] == "table":
                head, rows = shown.table
                page = (shown.folder / f"{item.id}.html").read_text(encoding="utf-8")
                assert len(rows) == page.count("<tr>") - 1 and all(len(row) == len(head) for row in rows)
                assert all(paper.column(column.header).header == column.header for column, _ in head)
    assert [kind for _, kind in by_name(items)["rb-tab-datasets"].on[0].table[0]][:2] == ["text", "number"]


def test_statements_of_an_item_are_those_that_name_its_place(items):
    assert {claim["where"] for claim in by_name(items)["rb-fig8"].on[0].claims} == {"RouterBench App. C"}
    assert not by_name(items)["rb-fig1"].on[0].claims
    places = [claim["where"] for claim in by_name(items)["rl-tab2"].on[0].claims]
    assert places and all("Table 2" in place or "5.1" in place for place in places)


def test_ledger_has_every_statement_once_with_its_chapter(pages):
    text = pages["claims.html"].text
    rows = re.findall(r"<tr data-verdict=\"([^\"]*)\" data-paper=\"([^\"]*)\" data-data=\"(\w+)\"", text)
    keys = {
        (c["notebook"], c["claim"], c["data"], c["ours"])
        for kind in shop.KINDS
        for c in shop.read_claims(ROOT / "figures" / kind)
    }
    assert len(rows) == len(keys)
    assert {kind for _, _, kind in rows} == set(shop.KINDS)


def test_leaderboard_has_every_cell_of_both_boards(pages):
    text = pages["leaderboard.html"].text
    boards = [pd.read_csv(ROOT / "figures" / kind / "own-leaderboard.csv") for kind in ("real", "simulated")]
    rows = re.findall(r'<tr data-data="(\w+)" data-table="([^"]+)" data-router="([^"]+)"', text)
    assert rows == [tuple(row) for board in boards for row in board[["kind", "table", "router"]].to_numpy()]
    assert all(f"{lead:+.4f}" in text for board in boards for lead in board["lead"].dropna())
    assert text.count("is shown to lead") + text.count("cells lead over the zero router") >= len(boards)


def made_chapter(*outputs, source='teach.explore(draw, strip={"k": (5, 40)}, k=[5, 40])'):
    cells = [
        {
            "cell_type": "markdown",
            "id": "a",
            "metadata": {},
            "source": "# 09 · Made\n\n## 1 How [many](x.md) $k$?",
        },
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"tags": ["x"]},
            "source": source,
            "outputs": list(outputs),
        },
    ]
    return {"cells": cells, "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 5}


def display(**data):
    return {"output_type": "display_data", "metadata": {}, "data": data}


def test_of_a_widget_its_strip_stays_with_words():
    strip = display(**{"image/png": "aGk=", "text/plain": "<Figure>"})
    widget = display(**{chapters.WIDGET: {"model_id": "1"}, "text/plain": "VBox()"})
    warning = {"output_type": "stream", "name": "stderr", "text": "a warning"}
    shown = chapters.chapter(made_chapter(strip, widget, warning), {})
    code = shown["cells"][-1]
    assert [output["data"] for output in code["outputs"]] == [{"image/png": "aGk="}]
    assert code["metadata"]["mystnb"]["image"]["alt"] == (
        "Strip of pictures, one for each value of k, in the section “1 How many k?”"
    )
    assert "widgets" not in shown["metadata"] and code["metadata"]["tags"] == ["x"]


def test_a_drawing_says_its_own_title_and_description():
    words = "<title>A hull</title><desc>Five points\n and a line.</desc>"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg">{words}</svg>'
    shown = chapters.chapter(
        made_chapter(display(**{"image/svg+xml": svg}), source='teach.picture("00")'), {}
    )
    assert shown["cells"][-1]["metadata"]["mystnb"]["image"]["alt"] == "A hull Five points and a line."


def test_items_and_statements_can_be_linked_to(items):
    source = 'report.save_figure(fig, "rb-fig4", data=x)\nshown(report.claims(evidence))'
    picture = display(**{"image/png": "aGk="})
    shown = chapters.chapter(made_chapter(picture, source=source), {item.id: item for item in items})
    assert [cell["source"] for cell in shown["cells"][1:3]] == [
        '<span id="rb-fig4"></span>',
        '<span id="statements"></span>',
    ]
    assert "Predictive routers per dataset" in shown["cells"][3]["metadata"]["mystnb"]["image"]["alt"]


def test_an_item_saved_under_a_name_that_code_does_not_tell_can_be_linked_to(items):
    source = 'for n in (1, 2):\n    report.save_table(t, f"rl-tab{n}", formats=f)'
    assert {"rl-tab1", "rl-tab2"} <= set(chapters.saved(source, by_name(items)))
    shown = chapters.chapter(made_chapter(source="report.save_table(table, id)"), by_name(items), ["rl-tab3"])
    assert '<span id="rl-tab3"></span>' in [cell["source"] for cell in shown["cells"]]


def test_sources_are_written_only_if_they_changed_and_old_ones_go(tmp_path, monkeypatch):
    monkeypatch.setattr(fill, "sources", lambda root: iter([("a.md", b"one"), ("b/c.md", b"two")]))
    fill.fill(tmp_path)
    (tmp_path / "old.md").write_text("old")
    before = (tmp_path / "a.md").stat().st_mtime_ns
    monkeypatch.setattr(fill, "sources", lambda root: iter([("a.md", b"one"), ("b/c.md", b"three")]))
    fill.fill(tmp_path)
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert (tmp_path / "b" / "c.md").read_text() == "three" and not (tmp_path / "old.md").exists()


def test_notebooks_of_the_browser_install_what_they_need_and_embed_without_weights():
    made = dict(lite.notebooks(ROOT))
    assert [name[:2] for name in made] == list(lite.NUMBERS)
    for name, notebook in made.items():
        code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert 'piplite.install("rb-support", deps=False)' in code[0], name
        assert 'embedding: str = "minilm"' not in "\n".join(code)
        assert not [cell for cell in notebook["cells"] if cell.get("outputs")]


def test_what_the_browser_installs_is_what_the_three_import_and_it_has():
    hidden = (ROOT / "tests" / "test_without_heavy.py").read_text(encoding="utf-8")
    assert not [name for name in lite.PACKAGES if f'"{name}"' in hidden]

"""Reports: what is written, what is refused, and that a rerun writes the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rb_support.cache import write_atomically
from rb_support.catalog import MODELS, RAG_MODELS
from rb_support.outcomes import Origin, Outcomes
from rb_support.paper import ARXIV
from rb_support.report import (
    Claim,
    Report,
    ReportError,
    Versus,
    beside,
    cost_axis,
    gallery,
    mathematics_figure,
    oracle_figure,
    panels,
    plot_call_performance,
    plot_curve,
    plot_models,
    shown,
)
from rb_support.report.gallery import read_manifest, rebuild, rebuild_all
from rb_support.report.plots import model_legend
from rb_support.report.provenance import code_digest
from rb_support.report.render import plain, render_csv
from rb_support.report.store import MAX_BYTES, figures_root
from rb_support.report.style import model_style, router_style
from rb_support.simulate import simulate_outcomes
from rb_support.verdicts import Estimate, Fact

SIMULATED = Origin("simulated", "made rows", (), ("a note on the rows",))
REAL = Origin("real", "published rows", (("/home/someone/rows.pkl", "ab" * 32),))
TABLE = pd.DataFrame({"router": ["zero", "a|b_&"], "AIQ": [0.7123456, np.nan], "share": [0.25, 1.0]})


def report(folder: Path, origin: Origin = SIMULATED, notebook: str = "03_predictive_routers") -> Report:
    parameters = {"data": "/home/someone/own.csv", "rows": np.int64(7), "shares": (0.5, np.float64("nan"))}
    return Report(notebook, origin, parameters, seed=1, folder=folder)


STATEMENT = Claim(statement="KNN beats zero", where="RouterBench sec. 5.3", rule="is so")
FETCH = "python -m rb_support data fetch routerbench-0shot"


def small_figure() -> Figure:
    fig, (ax,) = panels(1, height=3)
    plot_models(ax, [[0.001, 0.5], [0.01, 0.8]], MODELS[:2])
    plot_curve(ax, [[0.001, 0.5], [0.01, 0.8]], "Zero router")
    cost_axis(ax)
    model_legend(fig, MODELS[:2], curves=ax)
    return fig


def save_all(folder: Path) -> None:
    made = report(folder)
    made.save_figure(small_figure(), "rb-fig4", data=TABLE)
    made.annotate("rb-fig4", note="seen")
    made.save_table(TABLE, "rb-tab-aiq")
    made.annotate("rb-tab-aiq", versus=[Versus("AIQ, zero", 0.71, 0.763, "digest", "other rows")])
    made.claims({"a": Fact(True, "0.71 > 0.70")}, {"a": STATEMENT})


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    save_all(folder)
    return folder / "simulated"


def said_on(ax: Axes) -> str:
    """What is written on an axes, in one line."""
    return " ".join(" ".join(text.get_text() for text in ax.texts).split())


def record(folder: Path, name: str) -> dict[str, object]:
    return json.loads((folder / f"{name}.json").read_text())


def test_every_promised_file_is_there(saved: Path) -> None:
    figure = {f"rb-fig4.{kind}" for kind in ("png", "svg", "pdf", "csv", "json")}
    table = {f"rb-tab-aiq.{kind}" for kind in ("csv", "md", "tex", "html", "json")}
    assert {path.name for path in saved.iterdir()} == figure | table | {
        "claims", "claims.csv", "manifest.json", "index.html",
    }  # fmt: skip


def test_a_second_run_writes_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = None  # a notebook may have reset the style
    save_all(tmp_path)
    again = tmp_path / "simulated"
    names = [path.relative_to(saved) for path in saved.rglob("*") if path.is_file()]
    assert len(names) == 14
    assert [name for name in names if (saved / name).read_bytes() != (again / name).read_bytes()] == []


def test_no_clock_time_and_no_machine_path_in_any_file(saved: Path) -> None:
    for path in saved.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"/home/someone" not in content, path.name
            assert b"CreationDate" not in content and b"dc:date" not in content and b"tIME" not in content


def test_record_tells_what_made_the_item(saved: Path) -> None:
    told = record(saved, "rb-fig4")
    assert (told["title"], told["paper"], told["item"], told["section"]) == (
        "Predictive routers per dataset", "RouterBench", "Figure 4", "sec. 5.3",
    )  # fmt: skip
    assert told["parameters"] == {"data": "own.csv", "rows": 7, "shares": [0.5, None]}
    assert (told["seed"], told["notebook"], told["note"]) == (1, "03_predictive_routers", "seen")
    assert told["data"] == {
        "kind": "simulated", "name": "made rows", "files": [], "notes": ["a note on the rows"],
    }  # fmt: skip
    assert not {"versions", "commit", "code"} & set(told), "what changes with a commit stands in the manifest"


def test_record_lists_the_hash_of_each_file(saved: Path) -> None:
    for name in ("rb-fig4", "rb-tab-aiq"):
        files = record(saved, name)["files"]
        assert len(files) == 4
        for file, digest in files.items():
            assert hashlib.sha256((saved / file).read_bytes()).hexdigest() == digest


def test_data_files_keep_their_hash_but_not_their_folder(tmp_path: Path) -> None:
    report(tmp_path, REAL).save_table(TABLE, "rb-tab-aiq")
    assert record(tmp_path / "real", "rb-tab-aiq")["data"]["files"] == [
        {"name": "rows.pkl", "sha256": "ab" * 32}
    ]


@pytest.mark.parametrize(
    ("origin", "words"),
    [(SIMULATED, "SIMULATED data — made rows"), (REAL, "Real data — published rows"),
     (Origin("own", "my table"), "Own data — my table")],
)  # fmt: skip
def test_figure_and_table_say_on_their_face_what_data_they_show(
    tmp_path: Path, origin: Origin, words: str
) -> None:
    fig = small_figure()
    made = report(tmp_path, origin)
    made.save_figure(fig, "rb-fig4", data=TABLE)
    assert [text.get_text() for text in fig.texts] == [f"{words}  ·  rb-fig4"]
    made.save_table(TABLE, "rb-tab-aiq")
    for ending in ("md", "tex", "html"):
        assert words in (tmp_path / origin.kind / f"rb-tab-aiq.{ending}").read_text()


def test_footer_lies_below_everything_and_is_replaced_when_saved_again(tmp_path: Path) -> None:
    fig = small_figure()
    made = report(tmp_path)
    made.save_figure(fig, "rb-fig4", data=TABLE)
    made.save_figure(fig, "rb-fig8", data=TABLE)
    (footer,) = fig.texts
    assert footer.get_text().endswith("rb-fig8")
    others = [fig.legends[0].get_window_extent(), *(ax.get_tightbbox() for ax in fig.axes)]
    assert footer.get_window_extent().y1 < min(box.y0 for box in others)


def test_a_label_of_the_whole_figure_is_lifted_off_the_legend(tmp_path: Path) -> None:
    fig = small_figure()
    label = fig.supxlabel("cost")
    report(tmp_path).save_figure(fig, "rb-fig4", data=TABLE)
    words, legend = label.get_window_extent(), fig.legends[0]
    drawn = [text.get_window_extent() for text in legend.get_texts()]
    assert not any(words.overlaps(box) for box in drawn)
    assert not words.overlaps(fig.axes[0].get_tightbbox())


@pytest.mark.parametrize("decades", [0.4, 0.6, 0.9, 1.2, 1.6, 1.8, 2.5, 3.0])
@pytest.mark.parametrize("log", [False, True])
def test_cost_axis_has_a_few_labels_that_do_not_overlap(decades: float, log: bool) -> None:
    fig, (ax, *_) = panels(4, ncols=4)
    ax.plot([3e-5, 3e-5 * 10**decades], [0, 1])
    cost_axis(ax, log=log)
    fig.draw_without_rendering()
    low, high = ax.get_xlim()
    labels = [tick.label1 for tick in ax.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert 1 <= len([label for label in labels if label.get_text()]) <= 5
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert {label.get_text() for label in ax.xaxis.get_minorticklabels()} <= {""}


def test_csv_has_six_digits_and_keeps_only_a_meaningful_index() -> None:
    frame = pd.DataFrame({"x": [1 / 3, 2.0]}, index=[5, 3])
    assert render_csv(frame) == b"x\n0.333333\n2\n"
    frame.index = pd.Index(["a", "b"], name="model")
    assert render_csv(frame) == b"model,x\na,0.333333\nb,2\n"


def test_header_rows_are_joined() -> None:
    columns = pd.MultiIndex.from_tuples([("AIQ", "mean"), ("n", "")])
    assert list(plain(pd.DataFrame([[1, 2]], columns=columns)).columns) == ["AIQ / mean", "n"]


def test_table_text_is_escaped_in_each_format_and_formatted_as_asked() -> None:
    pages = shown(TABLE, {"share": ".0%"}).pages("t", "100%.")
    markdown, latex, page = (pages[ending].decode() for ending in (".md", ".tex", ".html"))
    assert [line.replace(" ", "") for line in markdown.splitlines()[2:4]] == [
        "|zero|0.7123|25%|", r"|a\|b_&|–|100%|",
    ]  # fmt: skip
    assert r"a|b\_\& & – & 100\% \\" in latex and r"\caption{100\%." in latex
    assert '<td class="text">a|b_&amp;</td>' in page


def test_format_for_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="lacks.*cost"):
        report(tmp_path).save_table(TABLE, "rb-tab-aiq", formats={"cost": ".2f"})


def test_save_table_returns_the_table_to_be_shown(tmp_path: Path) -> None:
    assert report(tmp_path).save_table(TABLE, "rb-tab-aiq") is TABLE


def test_unknown_id_is_refused_with_the_nearest_ones(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="rb-fig4"):
        report(tmp_path).save_table(TABLE, "rb-figg4")
    with pytest.raises(ReportError, match="file name"):
        report(tmp_path).save_table(TABLE, "../x", title="T")
    report(tmp_path).save_table(TABLE, "own-test", title="My own")
    assert record(tmp_path / "simulated", "own-test")["title"] == "My own"


def test_file_over_the_limit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    long = pd.DataFrame({"x": np.random.default_rng(0).random(40_000)})
    with pytest.raises(ReportError, match=r"rb-fig4\.csv would have 3.*thin the points"):
        report(tmp_path).save_figure(small_figure(), "rb-fig4", data=long)
    assert list(tmp_path.iterdir()) == []
    fig, (ax,) = panels(1)
    ax.scatter(long["x"], long["x"] ** 2)
    with pytest.raises(ReportError, match=r"svg.*rasterized=True"):
        report(tmp_path).save_figure(fig, "rb-fig4", data=TABLE)


def test_a_published_number_needs_its_source() -> None:
    with pytest.raises(ReportError, match="source"):
        Versus("AIQ", 0.7, paper=0.763)


def test_interrupted_write_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.csv"
    write_atomically(target, b"old")

    def interrupted(self: Path, other: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.csv", b"old")]


def test_claims_are_shown_with_verdicts_in_the_order_of_the_statements(tmp_path: Path) -> None:
    statements = {
        "b": Claim(statement="B", where="sec. 2"),
        "c": Claim(statement="C", where="sec. 3", rule="is so", data="real"),
        "a": Claim(statement="A", where="sec. 1", needs="routerbench-0shot"),
    }
    found = {"c": Fact(None, "few rows"), "b": Estimate(0.2, 0.1, 0.3, "KNN", n=9)}
    assert report(tmp_path).claims(found, statements).to_numpy().tolist() == [
        ["B", "sec. 2", "KNN 0.200 [0.100, 0.300]", "simulated", "holds", ""],
        ["C", "sec. 3", "few rows", "real", "undecided", ""],
        ["A", "sec. 1", "no rows of it in this data", "simulated", "no data", FETCH],
    ]


def test_claims_of_all_notebooks_are_collected(tmp_path: Path) -> None:
    for notebook in ("03_b", "02_a"):
        report(tmp_path, notebook=notebook).claims({"a": Fact(False, "0, with comma")}, {"a": STATEMENT})
    collected = pd.read_csv(tmp_path / "simulated" / "claims.csv")
    assert collected["notebook"].tolist() == ["02_a", "03_b"]
    assert collected["verdict"].tolist() == ["does not hold"] * 2


def save_one(folder: Path, number: int) -> None:
    report(folder).save_table(TABLE, f"own-{number}", title=f"Item {number}")


def test_notebooks_running_at_once_lose_no_record(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        list(pool.map(save_one, [tmp_path] * 8, range(8)))
    items = read_manifest(tmp_path / "simulated")["items"]
    assert [item["id"] for item in items] == [f"own-{number}" for number in range(8)]


def test_gallery_shows_all_and_needs_nothing_from_elsewhere(saved: Path) -> None:
    page = (saved / "index.html").read_text()
    assert not re.search(r"<(?!a )[^>]*(https?:)?//|url\(|@import", page), "only links lead elsewhere"
    for target in re.findall(r'(?:href|src)="([^"#]+)"', page):
        assert target in ARXIV.values() or (saved / target).is_file(), target
    assert page.index('id="item-rb-fig4"') < page.index('id="item-rb-tab-aiq"')
    row = page[page.index("<td>AIQ, zero</td>") :]
    assert row.index("0.71<") < row.index("0.763<") < row.index("other rows")
    assert '<td class="verdict holds">holds</td>' in page


def test_one_reason_for_all_differences_is_said_once(tmp_path: Path) -> None:
    made = report(tmp_path)
    pairs = [Versus("A", 1.0, why="same"), Versus("B", 2.0, why="same")]
    made.save_table(TABLE, "rb-tab-aiq")
    made.annotate("rb-tab-aiq", versus=pairs)
    page = (tmp_path / "simulated" / "index.html").read_text()
    assert page.count("same") == 1 and "Why they differ: same" in page
    made.annotate("rb-tab-aiq", versus=[*pairs, Versus("C", 3.0, why="other")])
    assert (tmp_path / "simulated" / "index.html").read_text().count("<td>same</td>") == 2


def test_gallery_is_rebuilt_from_what_lies_on_disk(tmp_path: Path) -> None:
    for number in (1, 2):
        save_one(tmp_path, number)
    for path in (tmp_path / "simulated").glob("own-1.*"):
        path.unlink()
    assert rebuild_all(tmp_path) == {"simulated": 1}
    assert "own-1" not in (tmp_path / "simulated" / "index.html").read_text()
    (tmp_path / "simulated" / "own-2.json").write_text("{")
    with pytest.warns(UserWarning, match=r"own-2\.json is damaged"):
        assert rebuild(tmp_path / "simulated") == 0


def test_markup_in_words_is_not_markup_in_the_gallery(tmp_path: Path) -> None:
    cells = pd.DataFrame({"<b>": ["<script>alert(1)</script>"]})
    made = report(tmp_path)
    made.save_table(cells, "own-x", title="<i>T</i>")
    made.annotate("own-x", note="<script>2</script>")
    page = (tmp_path / "simulated" / "index.html").read_text()
    assert "<script>" not in page and "<i>" not in page and "<b>" not in page


def test_long_table_is_linked_instead_of_shown(tmp_path: Path) -> None:
    report(tmp_path).save_table(pd.DataFrame({"x": range(2000)}), "own-long", title="Long")
    page = (tmp_path / "simulated" / "index.html").read_text()
    assert "<td" not in page and '<a href="own-long.html">' in page


def test_tables_are_linked_where_they_would_make_the_gallery_too_heavy(tmp_path: Path) -> None:
    for number in range(25):
        report(tmp_path).save_table(pd.DataFrame({"x": range(380)}), f"own-{number}", title="One of many")
    page = (tmp_path / "simulated" / "index.html").read_text()
    assert len(page) < MAX_BYTES and "<td" not in page and '<a href="own-7.html">' in page


def test_folder_comes_from_argument_then_environment_then_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "rb-support"\n')
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.delenv("RB_FIGURES_DIR", raising=False)
    assert Report("n", SIMULATED).directory == tmp_path / "build" / "figures" / "simulated"
    assert figures_root(committed=True) == tmp_path / "figures"
    monkeypatch.setenv("RB_FIGURES_DIR", str(tmp_path / "elsewhere"))
    assert Report("n", REAL).directory == tmp_path / "elsewhere" / "real"
    assert Report("n", REAL, folder=tmp_path).directory == tmp_path / "real"


def notebook(path: Path, code: str, text: str = "") -> None:
    path.parent.mkdir(exist_ok=True)
    cells = [{"cell_type": "markdown", "source": [text]}, {"cell_type": "code", "source": [code]}]
    path.write_text(json.dumps({"cells": cells}))


def test_digest_of_the_code_is_of_what_runs(tmp_path: Path) -> None:
    path = tmp_path / "notebooks" / "03_x.ipynb"
    notebook(path, "a = 1", "Words.")
    first = code_digest(tmp_path)
    notebook(path, "a = 1", "Other words.")
    assert code_digest(tmp_path) == first
    notebook(path, "a = 2", "Words.")
    assert code_digest(tmp_path) != first


def test_manifest_says_once_which_code_and_versions_made_the_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry for all notebooks; one that a later code made anew moves to an entry of its own."""
    codes = iter(["a", "a", "b"])
    monkeypatch.setattr("rb_support.report.provenance.code_digest", lambda: next(codes))
    for name in ("03_predictive_routers", "04_cascading_simulation", "03_predictive_routers"):
        Report(name, SIMULATED, folder=tmp_path).save_table(TABLE, f"own-{name[:2]}", title="A table")
    made_by = read_manifest(tmp_path / "simulated")["made_by"]
    assert [(m["code"], m["notebooks"]) for m in made_by] == [
        ("a", ["04_cascading_simulation"]), ("b", ["03_predictive_routers"]),
    ]  # fmt: skip
    assert set(made_by[0]["versions"]) == {
        "python", "rb_support", "numpy", "pandas", "scipy", "scikit-learn", "torch", "matplotlib",
    }  # fmt: skip


def test_clock_times_change_neither_manifest_nor_gallery(tmp_path: Path) -> None:
    folder, seen = tmp_path / "simulated", []
    for speed in (10.0, 20.0):
        versus = [Versus("requests per second", speed, 2.9, "Table 7")]
        table = pd.DataFrame({"router": ["zero"], "requests_per_second": [speed]})
        made = report(tmp_path)
        made.save_table(table, "rl-tab7")
        made.annotate("rl-tab7", versus=versus)
        seen.append([(folder / name).read_bytes() for name in ("manifest.json", "index.html")])
    assert seen[0] == seen[1] and f"{speed:g}" in (folder / "rl-tab7.csv").read_text()


def test_models_are_told_apart_by_marker_alone_and_keep_their_look() -> None:
    styles = [model_style(name) for name in dict.fromkeys(MODELS + RAG_MODELS)]
    assert len({style["marker"] for style in styles}) == len(styles) == 14
    assert model_style("my/own-model") == model_style("my/own-model")
    assert model_style("my/own-model") != model_style("my/other-model")


def test_routers_are_found_by_how_their_name_begins() -> None:
    assert router_style("KNN (k=40)") == router_style("knn") != router_style("MLP")
    known = [router_style(name) for name in ("oracle", "zero", "knn", "mlp", "ridge", "ensemble", "rerank")]
    assert len({style["color"] for style in known}) == len(known)


def test_panels_hides_places_left_over() -> None:
    fig, axes = panels(5, ncols=3)
    assert len(axes) == 5 and [ax.get_visible() for ax in fig.axes] == [True] * 5 + [False]


def test_cost_is_drawn_per_query_and_read_per_thousand_of_them() -> None:
    for log in (False, True):
        fig, (ax,) = panels(1)
        ax.plot([0.0001, 0.002], [0, 1])
        cost_axis(ax, log=log)
        fig.draw_without_rendering()
        ticks = ax.xaxis.get_major_ticks()
        assert {f"{1000 * tick.get_loc():g}" for tick in ticks} == {t.label1.get_text() for t in ticks}
        assert "1" in {tick.label1.get_text() for tick in ticks} and "1,000" in ax.get_xlabel()
        plt.close(fig)


def test_curve_goes_on_flat_as_far_as_aiq_does() -> None:
    ax: Axes = panels(1)[1][0]
    plot_curve(ax, [[0.001, 0.2], [0.002, 0.8]], "KNN", until=0.005)
    (line,) = ax.get_lines()
    assert line.get_xdata()[-1] == 0.005 and line.get_ydata()[-1] == 0.8
    plot_curve(ax, [[0.001, 0.2], [0.002, 0.8]], "MLP", until=0.0005)
    assert ax.get_lines()[1].get_xdata()[-1] == 0.002


def test_curve_is_straight_in_cost_not_in_its_logarithm() -> None:
    ax: Axes = panels(1)[1][0]
    plot_curve(ax, [[1e-4, 0.2], [1e-2, 0.8], [1e-3, 0.1]], "Oracle")
    (line,) = ax.get_lines()
    cost, quality = line.get_xdata(), line.get_ydata()
    np.testing.assert_allclose(quality, 0.2 + (cost - 1e-4) / (1e-2 - 1e-4) * 0.6, atol=1e-12)
    assert len(cost) >= 50 and line.get_color() == "#000000"


def test_beside_takes_what_is_printed() -> None:
    ours, published = pd.Series({"a": 0.5, "b": 0.6}), pd.Series({"a": 0.4, "b": np.nan, "c": 0.9})
    (pair,) = beside(ours, published, what="score of {}", source="Table 1", why="other rows")
    assert pair == Versus("score of a", 0.5, 0.4, "Table 1", "other rows")


def test_beside_names_the_levels_of_an_index_in_words() -> None:
    """A gallery's reader sees no Python: neither brackets nor quotes, nor a level that is left empty."""
    keys = [("SW ranking", "D_arena"), ("Random", ""), ("MMLU", 0.5)]
    ours = pd.Series([0.5, 0.6, 0.7], index=pd.MultiIndex.from_tuples(keys))
    pairs = beside(ours, ours, what="APGR {}", source="Table 1")
    assert [pair.what for pair in pairs] == ["APGR SW ranking, D_arena", "APGR Random", "APGR MMLU, 0.5"]


@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_the_note_of_figure_2_is_in_words(kind: str) -> None:
    record = json.loads((ROOT / "figures" / kind / "rb-fig2.json").read_text())
    assert re.fullmatch(r"AIQ: private 0\.\d{3}, open 0\.\d{3}", record["note"])


def test_call_performance_shows_apgr_and_cpt() -> None:
    """PGR 0, 1/2, 3/4, 1 at thirds: the area is (1/4 + 5/8 + 7/8) / 3, half the gap is won at 1/3."""
    _, (ax,) = panels(1)
    shares, scores = [0, 1 / 3, 2 / 3, 1], [0.2, 0.6, 0.8, 1.0]
    plot_call_performance(ax, shares, scores, 0.2, 1.0)
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["router, APGR 0.58 (shaded)", "random router, APGR 0.50", "CPT(50%) = 33% of calls"]
    for arguments, why in (
        ((shares, scores, 1.0, 1.0), "score 1 and 1. No APGR can be shown: there is no gap to recover."),
        (
            (shares, scores, 0.3, 0.1 + 0.2),
            "score 0.3 and 0.3. No APGR can be shown: there is no gap to recover.",
        ),
        (
            ([0.5], [0.6], 0.2, 1.0),
            "score 0.2 and 1. No APGR can be shown: the curve has one share of calls only.",
        ),
    ):
        _, (ax,) = panels(1)
        plot_call_performance(ax, *arguments)
        assert why in said_on(ax)
        assert ax.get_legend_handles_labels()[1][:2] == ["router", "random router"]


def test_shown_tables_are_whole_and_the_same_each_time() -> None:
    long = "a statement of more than fifty characters, which pandas would cut off in the middle"
    frame = pd.DataFrame({"claim": [long], "AIQ": [0.71234], "share": [0.5]})
    page = shown(frame, {"share": ".0%"})._repr_html_()
    assert long in page and "0.7123<" in page and "50%" in page
    assert page == shown(frame, {"share": ".0%"})._repr_html_()
    assert page.count("<th ") == 3 == shown(frame.set_index("claim"))._repr_html_().count("<th ")


def test_mathematics_figure_shows_aiq_of_each_system() -> None:
    frame = pd.DataFrame({"sample_id": ["a"], "dataset": "D", "task": "t", "prompt": "p"})
    table = Outcomes(frame, np.array([[0.2, 0.6]]), np.array([[1.0, 3.0]]), ("m", "n"), REAL)
    systems = {"one": [[1, 0.25], [3, 0.75]], "other": [[2, 0.5]]}
    fig = mathematics_figure(table, (0, 1), [[2, 0.4]], systems)
    labels = fig.axes[2].get_legend_handles_labels()[1]
    assert labels == ["one: AIQ 0.500", "other: AIQ 0.375"]  # joined to (1, 0), then flat: .125 + .25


def test_a_table_of_seconds_says_seconds_on_its_cost_axis():
    table = simulate_outcomes(200)
    slow = replace(table, frame=table.frame.assign(cost_unit="seconds"))
    assert "USD" in oracle_figure(table).axes[0].get_xlabel()
    assert oracle_figure(slow).axes[0].get_xlabel() == "mean latency (seconds per query)"
    plt.close("all")


def test_the_gallery_sets_statements_beside_the_item_they_are_about() -> None:
    record = {"paper": "RouterBench", "item": "Figure 1", "section": "sec. 1", "notebook": "01a_x"}
    wheres = ["RouterBench Figure 1", "RouterBench sec. 1", "RouterBench Figure 12", "RouteLLM Figure 1", ""]
    claims = [{"where": where, "notebook": "01a_x"} for where in wheres]
    others = [{"where": wheres[0], "notebook": "02_x"}]
    assert gallery.claims_about(record, claims + others) == claims[:2]
    own = {"paper": "own", "item": "", "section": "", "notebook": "01a_x"}
    assert gallery.claims_about(own, [{"where": "own table", "notebook": "01a_x"}]) == []


def test_a_figure_is_described_for_those_who_cannot_see_it(tmp_path: Path) -> None:
    fig, axes = plt.subplots(1, 2)
    axes[0].plot([0, 1], [0, 1], label="oracle")
    axes[0].set(title="MMLU", xlabel="cost", ylabel="quality")
    axes[1].set_axis_off()
    axes[0].legend()
    Report("00_x", SIMULATED, folder=tmp_path).save_figure(fig, "rb-fig3", data=pd.DataFrame({"x": [1]}))
    record = json.loads((tmp_path / "simulated" / "rb-fig3.json").read_text())
    assert record["alt"] == "1 panel; panels: MMLU; across: cost; up: quality; drawn: oracle"
    page = (tmp_path / "simulated" / "index.html").read_text()
    assert f'alt="{record["title"]}. {record["alt"]}"' in page


def test_notes_and_pairs_are_added_to_a_saved_item(tmp_path: Path) -> None:
    report = Report("02_x", SIMULATED, folder=tmp_path)
    with pytest.raises(ReportError, match="has not been saved"):
        report.annotate("rb-tab-models", note="n = 3.")
    report.save_table(pd.DataFrame({"model": ["a"]}), "rb-tab-models")
    report.annotate("rb-tab-models", note="Before.")
    report.annotate("rb-tab-models", versus=[Versus("quality", 0.5, 0.6, "Table 2")])
    record = json.loads((tmp_path / "simulated" / "rb-tab-models.json").read_text())
    assert record["note"] == "Before." and record["versus"][0]["paper"] == 0.6
    report.annotate("rb-tab-models", note="After.")
    record = json.loads((tmp_path / "simulated" / "rb-tab-models.json").read_text())
    assert record["note"] == "After." and record["versus"][0]["ours"] == 0.5

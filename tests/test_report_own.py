"""Figures and tables of a user's own outcomes: any names, any size, nothing of the papers."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from matplotlib.text import Text

from rb_support.outcomes import Origin, Outcomes, PairScores
from rb_support.report import (
    Claim,
    Report,
    ReportError,
    Versus,
    cascade_figure,
    comparison_figure,
    cost_axis,
    dataset_figure,
    forest_figure,
    labels_figure,
    mathematics_figure,
    oracle_figure,
    panels,
    plot_curve,
    plot_models,
    shown,
)
from rb_support.report import text as report_text
from rb_support.report.figures import plot_cascades, plot_comparison
from rb_support.report.preference_figures import commercial_figure, routers_figure, transfer_figure
from rb_support.report.render import render_csv, show_alike
from rb_support.report.style import model_styles, router_style
from rb_support.routers import KNNRouter, cascade_name, model_points
from rb_support.simulate import simulate_outcomes
from rb_support.studies.predictive import ZERO, Comparison, aiq_table, compare, lead_curves
from rb_support.verdicts import Estimate, Fact

OWN = Origin("own", "cost_$1_to_$2.csv")
STRANGE = (
    "claude-$0.25/$1.25", r"$\badcommand{x$", "<script>alert(1)</script>", "模型-7b", "🤗-chat",
    "a\x1b[2Jb", "lone\ud800half", "two\nlines", "a|b`c`", "=cmd|' /C calc'!A0", "z" * 200, " ",
)  # fmt: skip


def own_table(m: int = 3, n: int = 60, tasks: int = 2, names: tuple[str, ...] = ()) -> Outcomes:
    """Rows of models that get better as they get dearer."""
    rng = np.random.default_rng(0)
    names = names or tuple(f"organisation-{j % 7}/model-{j:03d}-instruct" for j in range(m))
    quality = (rng.random((n, len(names))) < np.linspace(0.2, 0.9, len(names))).astype(float)
    cost = rng.lognormal(0, 0.3, quality.shape) * np.geomspace(1e-5, 1e-2, len(names))
    task = [f"task-{row % tasks:02d}" for row in range(n)]
    rows = [str(row) for row in range(n)]
    frame = pd.DataFrame({"sample_id": rows, "dataset": task, "task": task, "prompt": rows})
    return Outcomes(frame, quality, cost, names, OWN)


def saved(fig: Figure, folder: Path, data: pd.DataFrame | None = None, origin: Origin = OWN) -> Path:
    data = pd.DataFrame({"x": [1]}) if data is None else data
    Report("02_x", origin, folder=folder).save_figure(fig, "rb-fig3", data=data)
    return folder / origin.kind


def words_of(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.findobj(Text) if text.get_text()]


def legend_words(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.legends[0].get_texts()]


def drawn_words(svg: Path) -> list[str]:
    """What stands in an SVG file, which must be well-formed."""
    return ["".join(node.itertext()) for node in ElementTree.parse(svg).iter() if node.tag.endswith("text")]


@pytest.fixture
def no_other_font(monkeypatch: pytest.MonkeyPatch) -> None:
    report_text._fonts.cache_clear()
    monkeypatch.setattr(report_text, "_candidates", lambda: {})


@pytest.mark.usefixtures("no_other_font")
def test_any_name_is_drawn_as_written_or_as_its_codes(tmp_path: Path) -> None:
    fig = oracle_figure(
        own_table(names=tuple(name for name in STRANGE if name.isprintable() and name.strip()))
    )
    fig.axes[0].set_xlabel("a\x1b[2Jb")  # no model of a table is called so, but a figure may say anything
    fig.axes[0].set_ylabel("lone\ud800half")
    with pytest.warns(UserWarning, match="no font here has") as told:
        folder = saved(fig, tmp_path)
    drawn = drawn_words(folder / "rb-fig3.svg")
    for name in (*STRANGE[:3], "a|b`c`", "=cmd|' /C calc'!A0", r"a\x1b[2Jb", r"lone\ud800half"):
        assert name in drawn
    assert r"\u6a21\u578b-7b" in drawn and r"\U0001f917-chat" in drawn
    assert f"{'z' * 20}…{'z' * 19}" in drawn
    assert "Own data — cost_$1_to_$2.csv  ·  rb-fig3" in drawn
    assert sorted(str(warning.message).split("'")[1] for warning in told) == ["模型-7b", "🤗-chat"]


def test_what_the_usual_font_lacks_is_drawn_in_one_that_has_it() -> None:
    """U+2312 is in DejaVu Sans Mono, which comes with matplotlib, and not in DejaVu Sans."""
    fig, (ax,) = panels(1)
    title = ax.set_title("arc ⌒", loc="left")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="no font here|Glyph")
        report_text.legible(fig)
        fig.savefig(io.BytesIO(), format="pdf")
    assert title.get_text() == "arc ⌒" and len(title.get_fontfamily()) == 2
    assert ax.xaxis.label.get_fontfamily() == ["sans-serif"]


def test_a_cost_axis_has_powers_of_ten_though_dollars_are_no_formulas(tmp_path: Path) -> None:
    drawn = drawn_words(saved(oracle_figure(own_table()), tmp_path) / "rb-fig3.svg")
    assert not any("mathdefault" in words or "$10" in words for words in drawn)


HOSTILE = """
font.size: 30
font.family: monospace
text.usetex: True
text.parse_math: True
lines.linewidth: 9
axes.facecolor: red
axes.prop_cycle: cycler('color', ['k'])
savefig.dpi: 31
savefig.pad_inches: 3
svg.fonttype: path
pdf.compression: 0
path.simplify: False
figure.constrained_layout.use: False
legend.frameon: True
xtick.direction: in
"""
DRAW = """
import sys, pathlib
import pandas as pd
from rb_support.report import Report, oracle_figure
from rb_support.simulate import simulate_outcomes
table = simulate_outcomes(200)
Report("x", table.origin, folder=pathlib.Path(sys.argv[1])).save_figure(
    oracle_figure(table), "rb-fig3", data=pd.DataFrame({"x": [1]})
)
"""


def test_a_users_own_settings_change_no_byte(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(HOSTILE)
    settings = {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "MPLBACKEND": "pdf", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRAW, str(tmp_path / "hostile")]
    subprocess.run(command, env=os.environ | settings, cwd=tmp_path, check=True, capture_output=True)
    table = simulate_outcomes(200)
    clean = saved(oracle_figure(table), tmp_path / "clean", origin=table.origin)
    for kind in ("png", "svg", "pdf"):
        name = f"rb-fig3.{kind}"
        assert (tmp_path / "hostile" / "simulated" / name).read_bytes() == (clean / name).read_bytes()


def test_a_strangers_words_are_no_markup_in_any_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"model": pd.Series(STRANGE, dtype=object), "$q$": range(len(STRANGE))})
    Report("02_x", OWN, folder=tmp_path).save_table(frame, "rb-tab-models")
    page, markdown, latex, csv = (
        (tmp_path / "own" / f"rb-tab-models.{kind}").read_text() for kind in ("html", "md", "tex", "csv")
    )
    shown_page = shown(frame)._repr_html_()
    for words in (page, shown_page):
        assert "<script>" not in words and "&lt;script&gt;alert(1)&lt;/script&gt;" in words
    assert "mathjax_ignore" in shown_page  # else a notebook sets what stands between two dollars
    for words in (page, shown_page, markdown, latex, csv):
        assert "\x1b" not in words and "ud800" in words
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(STRANGE)  # no newline and no pipe of a name makes a row or a cell
    assert r"a\|b\`c\`" in markdown and r"claude-\$0.25/\$1.25" in markdown and "<script>" not in markdown
    assert r"claude-\$0.25/\$1.25" in latex and r"\$\textbackslash{}badcommand\{x\$" in latex
    assert all(
        line.endswith(r"\\")
        for line in latex.split(r"\midrule")[1].split(r"\bottomrule")[0].split("\n")
        if line
    )
    back = pd.read_csv(io.StringIO(csv))
    assert back["model"][0] == STRANGE[0] and back["model"][9] == f"'{STRANGE[9]}"


@pytest.mark.parametrize(
    ("value", "written"),
    [("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-a", "'-a"), ("@SUM(A1)", "'@SUM(A1)"),
     ("-0.5", "-0.5"), ("+3%", "+3%"),
     ("-1e-5", "-1e-5"), ("-", "-"), ("a=b", "a=b"), (-0.5, "-0.5"), ("\x1b[0m", r"\x1b[0m")],
)  # fmt: skip
def test_no_cell_of_a_csv_file_is_a_formula(value: object, written: str) -> None:
    cells = (
        render_csv(pd.DataFrame({"=x": [value, None], "n": [-1.0, 2.0]}, dtype=object)).decode().splitlines()
    )
    assert cells[:2] == ["'=x,n", f"{written},-1"]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT, [], (), np.array([])], ids=repr)
def test_what_does_not_exist_is_a_dash_in_a_table(nothing: object) -> None:
    frame = pd.DataFrame({"x": pd.Series([nothing, 1.0], dtype=object)})
    for words in (repr(shown(frame)), shown(frame, {"x": "+.3f"})._repr_html_()):
        assert "–" in words and not any(word in words for word in ("nan", "None", "NaT", "[]", "<NA>"))


def test_a_table_is_never_shown_by_its_address() -> None:
    assert repr(shown(pd.DataFrame({"a": [0.5]}))).splitlines()[0] == "|   a |"
    assert "No rows." in shown(pd.DataFrame({"a": []}))._repr_html_()


def test_a_notebook_shows_any_table_with_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = InteractiveShell()
    monkeypatch.setattr("rb_support.report.render.get_ipython", lambda: shell)
    show_alike()
    for table in (pd.DataFrame({"x": [np.nan, 1.0]}), pd.Series([np.nan, 1.0])):
        contents, _ = shell.display_formatter.format(table)
        assert all("–" in words and "NaN" not in words for words in contents.values())
    contents, _ = shell.display_formatter.format(pd.DataFrame({"$a$": ["<b>\x1b"]}))
    html = contents["text/html"]
    assert re.search("(mathjax|tex2jax)_ignore", html) and "&lt;b&gt;" in html
    assert "\x1b" not in "".join(contents.values())


def test_nothing_of_the_papers_is_said_of_own_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"model": ["m"], "quality": [0.5], "paper_quality": [0.9], "published_rows": [3]})
    versus, note = [Versus("q", 0.5, 0.9, "Table 1")], "As the paper has it. Ours."
    formats = {"quality": ".2f", "paper_quality": ".2f"}
    statements = {
        "dear": Claim(statement="GPT-4 is dear", where="RouteLLM App. D", rule="is so"),
        "win": Claim(statement="Routers win", where="beyond the paper", spec="+.3f"),
    }
    found = {"dear": Fact(True, "25 USD"), "win": Estimate(np.nan, np.nan, np.nan, n=9)}
    told = {}
    for origin in (OWN, Origin("simulated", "made")):
        report = Report("02_x", origin, folder=tmp_path)
        kept = report.save_table(frame, "rl-tab6", formats=formats)
        report.annotate("rl-tab6", note=note, versus=versus)
        record = pd.read_json(tmp_path / origin.kind / "rl-tab6.json", typ="series")
        claims = report.claims(found, statements)[["where", "ours"]].to_numpy().tolist()
        words = [record[name] for name in ("title", "paper", "section", "note")]
        told[origin.kind] = (list(kept), words, len(record["versus"]), claims)
    own_words = ["Cost saving over the strong model", "own", "", "Ours."]
    dashes = "– [–, –]"
    assert told["own"] == (["model", "quality"], own_words, 0, [["own table", dashes]])
    their_words = ["Cost saving over GPT-4", "RouteLLM", "sec. 5.4", note]
    theirs = [["RouteLLM App. D", "25 USD"], ["beyond the paper", dashes]]
    assert told["simulated"] == (list(frame), their_words, 1, theirs)
    assert "paper" not in (tmp_path / "own" / "rl-tab6.csv").read_text()


def test_own_files_are_made_smaller_and_never_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rb_support.report.store.MAX_BYTES", 100_000)
    dots = pd.DataFrame(np.random.default_rng(0).random((6_000, 2)), columns=["x", "y"])
    fig, (ax,) = panels(1)
    ax.scatter(dots["x"], dots["y"], s=0.5)
    with pytest.raises(ReportError, match=r"would have .* the limit is 100,000"):
        saved(fig, tmp_path, origin=Origin("simulated", "made"))
    folder = saved(fig, tmp_path, dots)
    sizes = {path.suffix: path.stat().st_size for path in folder.glob("rb-fig3.*")}
    assert len(pd.read_csv(folder / "rb-fig3.csv")) == 6_000 and sizes[".csv"] > 100_000
    assert max(sizes[ending] for ending in (".png", ".svg", ".pdf")) <= 100_000


@pytest.mark.parametrize("m", [12, 28, 60, 120])
def test_a_figure_of_many_models_can_be_read(m: int) -> None:
    table = own_table(m, n=120)
    for fig in (oracle_figure(table), dataset_figure(table)):
        fig.draw_without_rendering()
        labels, width = legend_words(fig), fig.get_figwidth() * fig.dpi
        assert len(set(labels)) == len(labels) <= 28
        named = sum("/model-" in label for label in labels)
        assert named == m if m <= 14 else labels[-1] == f"{m - named} more models"
        assert fig.legends[0].get_window_extent().width <= width
        boxes = [ax.get_window_extent() for ax in fig.axes]
        assert (
            min(box.height for box in boxes) > 1.2 * fig.dpi
            and min(box.width for box in boxes) > 1.2 * fig.dpi
        )
        assert not any(box.overlaps(fig.legends[0].get_window_extent()) for box in boxes)
        plt.close(fig)


def test_no_two_models_look_alike() -> None:
    looks = [tuple(style.values()) for style in model_styles([f"model {j}" for j in range(120)]).values()]
    assert len(set(looks)) == 120
    markers = [style["marker"] for style in model_styles([f"model {j}" for j in range(14)]).values()]
    assert len(set(markers)) == 14


def test_two_routers_of_a_kind_are_drawn_in_different_lines() -> None:
    table = own_table(n=80, tasks=1)
    X = pd.DataFrame(np.random.default_rng(0).random((80, 3)), index=table.frame["sample_id"])
    routers = {f"KNN (k={k})": KNNRouter(k) for k in (1, 4, 40, 3, 7, 9)}
    (train, test) = table.split(seed=0)
    _, (ax,) = panels(1)
    plot_comparison(ax, compare(train, test, X, routers), routers, "task")
    lines = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in ax.get_lines()]
    assert len(set(lines)) == len(lines) == 7
    assert lines[1][:2] == tuple(router_style("KNN").values())


def test_leads_are_drawn_over_what_a_placebo_reaches() -> None:
    table = own_table(n=80, tasks=1)
    X = pd.DataFrame(np.random.default_rng(0).random((80, 3)), index=table.frame["sample_id"])
    found = {"mine": compare(*table.split(seed=0), X, {"KNN": KNNRouter(5)})}
    rng = np.random.default_rng(0)
    fig = comparison_figure(found, ["KNN"], lead_curves(found, ["KNN"], rng=rng))
    _, _, lead = fig.axes
    assert len(lead.collections) == 2 and lead.get_lines()[-1].get_label() == "Placebo, middle 95%"
    rows = aiq_table(found, rng=rng, draws=10)
    (strip,) = forest_figure(rows).axes
    names = [label.get_text() for label in strip.get_yticklabels()]
    assert names == ["Zero router (trained)", "KNN", "Placebo"] and "(n = 24)" in strip.get_title("left")


def test_what_costs_nothing_stands_in_a_column_of_its_own() -> None:
    table = own_table(4)
    fig = oracle_figure(replace(table, cost=table.cost * [0, 0, 1, 1]))
    fig.draw_without_rendering()
    ax = fig.axes[1]
    low, high = ax.get_xlim()
    free = [place for points in ax.collections for place in points.get_offsets()[:, 0] if place == 0]
    assert low < 0 < high and len(free) == 2
    labels = [tick.label1 for tick in ax.xaxis.get_major_ticks()]
    assert "0" in labels[0].get_text() and ax.xaxis.get_major_ticks()[0].get_loc() == 0
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
    plt.close("all")


@pytest.mark.parametrize("cost", [0.0, 0.001], ids=["free", "one price"])
def test_equal_costs_are_one_place_on_an_axis_that_can_be_read(cost: float) -> None:
    table = own_table(3)
    jitter = 1 + 1e-15 * np.random.default_rng(0).random(table.cost.shape)
    fig = oracle_figure(replace(table, cost=cost * jitter))
    fig.draw_without_rendering()
    ticks = [tick.label1.get_text() for tick in fig.axes[0].xaxis.get_major_ticks()]
    assert any(ticks) and not any("nan" in words for words in words_of(fig))


def test_of_many_datasets_the_largest_are_drawn_and_it_is_said() -> None:
    fig = dataset_figure(own_table(2, n=153, tasks=51))
    assert len(fig.axes) == 16 and fig._suptitle is not None
    assert fig._suptitle.get_text() == "The 8 with the most rows, of 51; the CSV has all"
    assert len(dataset_figure(own_table(2, n=28, tasks=7)).axes) == 16  # 14, and two places left over
    plt.close("all")


def leads(datasets: list[str], even: float = 0.2) -> pd.DataFrame:
    rows = [(name, cascade_name(0.1), 0.1, 0.01, 0.01, 0.0, 0.02, even, even, even) for name in datasets]
    columns = ["dataset", "router", "error_rate", "minus_zero", "honest_minus_zero",
               "honest_low", "honest_high", "break_even", "break_even_low", "break_even_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def cascades(table: Outcomes) -> dict[str, Comparison]:
    parts = {name: table.of(name) for name in table.datasets}
    return {
        name: Comparison(part, {ZERO: model_points(part), cascade_name(0.1): model_points(part)})
        for name, part in parts.items()
    }


def test_cascades_on_many_datasets_are_three_in_a_row() -> None:
    systems = cascades(own_table(2, n=80, tasks=4))
    fig = cascade_figure(systems, leads(list(systems)))
    shown_axes = [ax for ax in fig.axes if ax.get_visible()]
    fig.draw_without_rendering()
    assert len(shown_axes) == 8 and min(ax.get_window_extent().width for ax in shown_axes) > fig.dpi
    plt.close(fig)


def drawn_alone(draw: object, *arguments: object) -> Figure:
    fig, (ax,) = panels(1)
    draw(ax, *arguments)  # type: ignore[operator]
    return fig


EMPTY = pd.DataFrame
DEGENERATE = {
    "no comparison": lambda: comparison_figure({}, ["KNN"], EMPTY()),
    "no router": lambda: forest_figure(EMPTY(columns=["dataset", "router"])),
    "no cascade": lambda: cascade_figure({}, leads([])),
    "no benchmark": lambda: routers_figure(EMPTY(columns=["benchmark", "training", "router", "share"]), []),
    "no label": lambda: labels_figure(EMPTY(columns=["labels", "seed", "router", "apgr"]), {}),
    "no pair": lambda: transfer_figure(EMPTY(columns=["benchmark", "mark", "gap", "apgr", "n"]), router="MF"),
    "no model": lambda: drawn_alone(plot_models, np.empty((0, 2)), []),
    "no finite model": lambda: drawn_alone(plot_models, [[np.nan, 0.5]], ["m"]),
    "no judge": lambda: cascade_figure(cascades(own_table(2, tasks=1)), leads([])),
    "no system": lambda: mathematics_figure(own_table(2), (0, 1), np.empty((0, 2)), {}),
    "no point of a system": lambda: mathematics_figure(own_table(2), (0, 1), [[1, 0.5]], {"open": []}),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_where_nothing_can_be_drawn_a_sentence_says_so(case: str, tmp_path: Path) -> None:
    fig = DEGENERATE[case]()
    assert any(len(words.split()) > 3 and words.rstrip().endswith(".") for words in words_of(fig))
    saved(fig, tmp_path)
    plt.close("all")


ONE = own_table(1, n=1, tasks=1)
FEW = {
    "one model, one row": lambda: oracle_figure(ONE),
    "one model, its datasets": lambda: dataset_figure(ONE),
    "one model mixed with itself": lambda: mathematics_figure(ONE, (0, 0), [[1, 1.0]], {"one": ONE.points()}),
    "equal models": lambda: oracle_figure(replace(own_table(3), quality=np.ones((60, 3)))),
    "one point": lambda: drawn_alone(plot_curve, [[0.1, 0.5]], "KNN"),
    "no point": lambda: drawn_alone(plot_curve, np.empty((0, 2)), "KNN"),
    "no number": lambda: drawn_alone(plot_curve, [[np.nan, np.nan]], "KNN"),
    "no rate": lambda: drawn_alone(plot_cascades, cascades(ONE)["task-00"], {}),
    "no break-even": lambda: cascade_figure(cascades(ONE), leads(["task-00"], np.nan)),
    "an axis of nothing": lambda: drawn_alone(cost_axis),
    "no curve": lambda: commercial_figure(
        EMPTY(columns=["router", "share", "score"]), EMPTY(columns=["router", "strong_share", "score"]),
        PairScores(ONE.frame, [1], [0], "s", "w"), title="t",
    ),
    "one seed": lambda: labels_figure(
        EMPTY({"labels": [9], "seed": [0], "router": ["SW"], "apgr": [0.5]}), {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FEW)
def test_little_is_drawn_as_it_is(case: str, tmp_path: Path) -> None:
    fig = FEW[case]()
    saved(fig, tmp_path)
    assert not any(word in words for words in words_of(fig) for word in ("nan", "None", "[]"))
    plt.close("all")


@pytest.mark.parametrize(
    ("by", "label", "brief"),
    [
        ("latency", "mean latency (seconds per query)", "seconds per query"),
        ("$x", "mean $x (per query)", "per query"),
        (None, "mean cost (USD per 1,000 queries)", "USD per 1,000 queries"),
    ],
)
def test_a_cost_axis_says_what_costs_are(by: str | None, label: str, brief: str, tmp_path: Path) -> None:
    table = own_table(3)
    further = {f"{model}|{by}": 2.0 * (j + 1) for j, model in enumerate(table.models)}
    if by is not None:
        table = replace(table, frame=table.frame.assign(**further)).priced(by)
    figure = oracle_figure(table)
    assert [ax.get_xlabel() for ax in figure.axes] == [label] * 2
    assert dataset_figure(table).axes[-1].get_xlabel() == brief
    figure.draw_without_rendering()
    ticks = [float(tick.get_text()) for tick in figure.axes[0].get_xticklabels()]
    costs = table.points()[:, 0] * (1000 if by is None else 1)
    assert min(ticks) <= costs.min() and max(ticks) > costs.max() / 2 and max(ticks) < 2 * costs.max()
    saved(figure, tmp_path)
    plt.close("all")
    costs_table = pd.DataFrame({"model": table.models, "usd_per_query": table.points()[:, 0]})
    report = Report("02_x", table.origin, folder=tmp_path)
    kept = report.save_table(costs_table, "rb-tab-models", formats={"usd_per_query": ".6f"})
    units = {"latency": "seconds_per_query", "$x": "$x_per_query", None: "usd_per_query"}
    assert list(kept) == ["model", units[by]]
    assert (tmp_path / "own" / "rb-tab-models.csv").read_text().startswith(f"model,{units[by]}")

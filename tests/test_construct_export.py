"""From the store to an outcome table and its card."""

import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from faulty_server import serve
from typer.testing import CliRunner

from rb_support.app.construct import app
from rb_support.catalog import DATASETS
from rb_support.construct import rag
from rb_support.construct.export import by_model, card, is_simulated, to_outcomes
from rb_support.construct.grading import answer_texts, grade_store, position_bias
from rb_support.construct.rag import demo_documents
from rb_support.construct.records import Answer, ConstructError, Model, Parameters, Query, key_of
from rb_support.construct.refusals import refusals_table
from rb_support.construct.run import run
from rb_support.construct.store import Store
from rb_support.construct.tasks import demo_tasks, queries_of
from rb_support.load import load_outcomes
from rb_support.outcomes import Outcomes
from rb_support.paper import task_rows
from rb_support.report.construction import construction_figure
from rb_support.studies import dataset
from rb_support.studies.pilot import oracle_points

LETTER = Query("arc-challenge.test.0", "arc-challenge", ("Which?",), "B", "letter")
CHAT = Query("mtbench.test.0", "mtbench", ("Say it.", "Say it again."))
MODELS = [Model(name, "https://api.example.org/v1", name, 1.0, 2.0) for name in ("large", "small")]


def put(store, model, query, turn=0, *, text="B", score=1.0, note="", usd=0.001, seconds=0.2, finish="stop"):
    store.put_queries([query])
    key = key_of(model, query, turn, Parameters())
    at = "2026-01-01T00:00:00Z"
    store.put_answer(Answer(*key, text, 10, 5, False, seconds, usd, finish, at, 1, "{}"))
    if score is not None:
        store.put_grade(key, "letter", score, True, note)


@pytest.fixture
def store(tmp_path):
    """Two models, two queries; the second has two turns, and `small` refuses the first."""
    with Store(tmp_path / "mine.db") as opened:
        opened.put_models(MODELS)
        for model in ("large", "small"):
            refused = model == "small"
            seconds = 0.1 if refused else 0.2
            put(opened, model, LETTER, score=float(not refused), note="refusal" * refused, seconds=seconds)
            put(opened, model, CHAT, 0, text="One.", score=0.8, usd=0.002)
            put(opened, model, CHAT, 1, text="Two.", score=0.4, usd=0.003, seconds=0.3)
        yield opened


def test_turns_become_one_row(store):
    table = to_outcomes(store)
    assert table.models == ("large", "small") and table.origin.kind == "own"
    np.testing.assert_allclose(table.quality, [[1, 0], [0.6, 0.6]])
    np.testing.assert_allclose(table.cost, [[0.001, 0.001], [0.005, 0.005]])
    chat = table.frame.iloc[1]
    assert chat["prompt"] == "Say it.\n\nSay it again." and chat["large|model_response"] == "One.\n\nTwo."
    assert chat["large|prompt_tokens"] == 20 and chat["large|latency_s"] == pytest.approx(0.5)
    assert table.frame["small|refusal"].tolist() == [True, False]
    assert table.frame["true_label"].tolist() == ["B", ""] and table.datasets == ("ARC-Challenge", "MT-Bench")


@pytest.mark.parametrize("form", ["wide", "long", "parquet", "csv"])
def test_the_table_survives_every_form(store, tmp_path, form):
    table = to_outcomes(store)
    path = tmp_path / f"table.{form}"
    if form == "parquet":
        table.to_parquet(path)
        back = Outcomes.read(path)
    elif form == "csv":
        table.to_wide().to_csv(path, index=False)
        back = load_outcomes(str(path))
    else:
        back = Outcomes.from_wide(table.to_wide()) if form == "wide" else Outcomes.from_long(table.to_long())
    np.testing.assert_allclose(back.quality, table.quality)
    np.testing.assert_allclose(back.cost, table.cost)
    assert set(back.frame.columns) >= {
        "large|latency_s",
        "small|refusal",
        "true_label",
        "large|model_response",
    }


def test_latency_is_a_cost_axis_that_says_so(store):
    table = to_outcomes(store, cost="latency")
    np.testing.assert_allclose(table.cost, [[0.2, 0.1], [0.5, 0.5]])
    assert "seconds" in table.origin.name and any("not USD" in note for note in table.origin.notes)
    assert oracle_points(table)[-1].tolist() == pytest.approx([0.35, 0.8])
    assert "seconds" not in to_outcomes(store).origin.name and "cost_unit" not in to_outcomes(store).frame
    assert Outcomes.from_wide(table.to_wide()).frame["cost_unit"].eq("seconds").all()
    with pytest.raises(ConstructError, match="'usd' or 'latency'"):
        to_outcomes(store, cost="euro")


def test_rows_that_lack_something_are_counted(store):
    ungraded = Query("arc-challenge.test.1", "arc-challenge", ("What?",), "B", "letter")
    half = Query("mtbench.test.1", "mtbench", ("Say it.", "Say more."))
    put(store, "large", ungraded)
    put(store, "small", ungraded, score=None)
    for model in ("large", "small"):
        put(store, model, half)
    table = to_outcomes(store)
    assert len(table) == 2 and any(note.endswith("no grade: 2") for note in table.origin.notes)
    assert len(to_outcomes(store, models=["large"])) == 3


def test_nothing_whole_is_told(store):
    with pytest.raises(ConstructError, match=r"an answer and a grade of every model \(large, x\)"):
        to_outcomes(store, models=["large", "x"])
    with pytest.raises(ConstructError, match="none"):
        to_outcomes(store, parameters=Parameters(temperature=1.0))


def test_simulated_models_make_a_simulated_table(tmp_path):
    there = Model("sim-large", "http://127.0.0.1:8000/v1", "sim-large", 1.0, 1.0)
    with Store(tmp_path / "sim.db") as store:
        store.put_models([there])
        put(store, "sim-large", LETTER)
        assert to_outcomes(store).origin.kind == "simulated"
        assert "**Simulated**" in card(store)
        store.put_models(MODELS)
        put(store, "large", LETTER)
        mixed = to_outcomes(store).origin
        assert mixed.kind == "own" and "simulated on a loopback server: sim-large" in mixed.notes
    assert not is_simulated(MODELS[0]) and not is_simulated(Model("qwen", there.endpoint, "qwen", 1.0, 1.0))


def test_what_every_model_did(store):
    extra = Query("arc-challenge.test.9", "arc-challenge", ("Not asked?",), "B", "letter")
    table = by_model(store, [LETTER, CHAT, extra]).set_index("model")
    assert table["answers"].tolist() == [3, 3] and table["missing"].tolist() == [1, 1]
    assert table["refusals"].tolist() == [0, 1] and table.loc["large", "usd"] == pytest.approx(0.006)
    assert table.loc["large", "latency_s"] == pytest.approx(0.2)


def test_the_card_tells_everything_and_the_same_twice(store):
    text = card(store, title="Mine")
    assert text.startswith("# Mine\n\n2 queries of 2 tasks, 2 models, 6 answers.")
    for word in ("max_tokens", "| large", "refusals", "mtbench", "2026-01-01", "latency_s"):
        assert word in text
    still = card(store, timings=False)
    assert "2026" not in still and "latency" not in still and still == card(store, timings=False)


def test_cut_answers_are_counted_and_their_rows_left_out(store):
    cut = Query("gsm.test.0", "grade-school-math", ("How many?",), "1", "number")
    for model in MODELS:
        put(store, model, cut, text="so add 1", finish="length" if model is MODELS[0] else "stop")
    table = to_outcomes(store)
    assert len(table) == 2 and "gsm.test.0" not in set(table.frame["sample_id"])
    assert "answers cut at the limit of tokens, neither right nor wrong: 1" in table.origin.notes
    assert by_model(store).set_index("model")["cut"].to_dict() == {"large": 1, "small": 0}
    assert "cut at the limit of tokens" in card(store) and "| cut " in card(store)


@pytest.mark.parametrize(
    "text", ["Working\rB", "a\r\nb\rc\n", '"x",\r"y"', "a\0b", "a\u2028b\x0bc", "=1\r+2"]
)
@pytest.mark.parametrize("form", ["to_wide", "to_long"])
def test_any_answer_survives_a_csv_file(tmp_path, text, form):
    with Store(tmp_path / "answers.db") as store:
        for model in MODELS:
            put(store, model, LETTER, text=text)
            put(store, model, replace(LETTER, sample_id="arc-challenge.test.1", turns=(text + "?",)))
        table = to_outcomes(store)
    getattr(table, form)().to_csv(tmp_path / "x.csv", index=False)
    back = Outcomes.read(tmp_path / "x.csv")
    assert len(back) == 2 and back.frame["prompt"].tolist() == table.frame["prompt"].tolist()
    assert back.frame["large|model_response"].tolist() == table.frame["large|model_response"].tolist()
    assert "\r" not in table.frame["large|model_response"][0]


@pytest.mark.parametrize("fails", ["table", "card"])
def test_a_file_is_written_whole_or_not_at_all(store, tmp_path, monkeypatch, fails):
    def disk_full(written, *_args, **_options):
        with written if fails == "table" else written.open("w") as file:
            file.write("half")
        raise OSError(28, "No space left on device")

    files = {"table": tmp_path / "x.csv", "card": tmp_path / "card.md"}
    for file in files.values():
        file.write_text("old")
    monkeypatch.setattr(*((Path, "write_bytes") if fails == "card" else (csv, "writer")), disk_full)
    asked = ["export", str(files["table"]), "--store", str(store.path), "--card", str(files["card"])]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 1 and "No space left" in result.output
    assert files[fails].read_text() == "old"
    assert not [*tmp_path.glob(".*.part")]


def test_the_datasets_of_a_table_stand_beside_the_papers_rows(store):
    table = dataset.datasets_of(to_outcomes(store)).set_index("dataset")
    assert table.loc["ARC-Challenge", ["tasks", "rows", "shots", "metric"]].tolist() == [
        1,
        1,
        5,
        "exact match",
    ]
    assert table.loc["ARC-Challenge", "published_rows"] == 1470
    assert table.loc["MMLU", "rows"] == 0 and table.loc["MMLU", "published_tasks"] == 57
    assert table["published_tasks"].sum() == 64
    assert np.isnan(table.loc["RAG", "published_rows"])
    assert task_rows()["rows"].sum() > table["published_rows"].sum()


def test_one_record_shows_every_attribute_shortened(store):
    record = dataset.one_record(to_outcomes(store), sample=1, model="large", width=12)
    assert record["attribute"].tolist() == [
        "sample_id",
        "model_name",
        "eval_name",
        "prompt",
        "model_response",
        "performance",
        "cost",
        "true_label",
    ]
    shown = dict(zip(record["attribute"], record["example"], strict=True))
    assert shown["model_name"] == "large" and shown["performance"] == "0.6" and shown["true_label"] == "–"
    assert shown["prompt"] == "Say it. Say …" and record["column"].str.len().gt(0).all()


def test_a_record_of_an_unknown_model_is_refused(store):
    with pytest.raises(ValueError, match="model 'huge' is not in the table; known: large, small"):
        dataset.one_record(to_outcomes(store), sample=0, model="huge")


def test_prices_stand_beside_what_was_paid(store):
    listed = dataset.prices_of(MODELS, to_outcomes(store)).set_index("model")
    assert listed.loc["large", "price_out_usd_per_million"] == 2
    assert listed.loc["large", "usd_per_query"] == pytest.approx(0.003)


def test_printed_prices_stand_beside_the_published_costs(shared_data, monkeypatch, tmp_path):
    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    table = load_outcomes("real")
    listed = dataset.printed_prices(table).set_index("model")
    assert len(listed) == 14 and listed["usd_per_query"].notna().sum() == 11
    dear = listed["usd_per_query"].idxmax()
    assert dear == "gpt-4-1106-preview"
    assert pd.notna(dataset.one_record(table, sample=0, model=dear)["example"]).all()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """The built-in questions put to the loopback server's models, graded by its judge."""
    queries = queries_of(demo_tasks(4, seed=1))
    with serve(queries, seed=1) as server, Store(tmp_path_factory.mktemp("live") / "live.db") as store:
        summary = run(queries, server.models(), store, progress=False)
        assert summary.state == "done"
        grades = grade_store(store, queries, server.judge())
        yield store, server, queries, grades


def test_a_live_run_gives_a_whole_simulated_table(live):
    store, server, queries, grades = live
    table = to_outcomes(store)
    assert len(table) == 32 and len(table.models) == 4 and table.origin.kind == "simulated"
    assert table.datasets == DATASETS and grades["ungraded"].sum() == 0
    assert [query.sample_id for query in queries] == table.frame["sample_id"].tolist()
    assert by_model(store)["missing"].eq(0).all()


def test_a_live_run_can_be_made_again_to_the_last_digit(live, tmp_path):
    store, _, queries, _ = live
    with serve(queries, seed=1) as server, Store(tmp_path / "again.db") as again:
        run(queries, server.models(), again, progress=False)
        grade_store(again, queries, server.judge())
        first, second = to_outcomes(store), to_outcomes(again)
        np.testing.assert_array_equal(first.quality, second.quality)
        np.testing.assert_array_equal(first.cost, second.cost)
        assert card(store, timings=False) == card(again, timings=False)


def test_grading_again_asks_the_judge_nothing(live):
    store, server, queries, grades = live
    before = sum(server.chat.calls.values())
    pd.testing.assert_frame_equal(grade_store(store, queries, server.judge()), grades)
    assert sum(server.chat.calls.values()) == before


def test_simulated_refusals_are_found_in_the_live_table(live):
    store, _, queries, _ = live
    table = to_outcomes(store)
    counted = refusals_table(table).set_index("model")[["refusals", "echoes", "empty"]]
    assert counted.to_numpy().sum() > 0
    single = table.take((table.frame["dataset"] != "MT-Bench").to_numpy())
    chosen = [query for query in queries if query.task != "mtbench"]
    noted = by_model(store, chosen).set_index("model")[["refusals", "echoes", "empty"]]
    pd.testing.assert_frame_equal(refusals_table(single).set_index("model")[noted.columns], noted)


def test_the_loopback_judge_has_a_position_bias_that_is_found(live):
    store, server, queries, _ = live
    table = position_bias(store, server.judge(), ("sim-large", "sim-small"), queries)
    assert len(table) == 12 and table[["better", "better_swapped"]].ne("").all(axis=None)
    assert table["consistent"].sum() > 0


def test_a_live_model_writes_questions_for_retrieval(live):
    store, server, queries, _ = live
    documents, today = demo_documents(), date(2024, 1, 1)
    asked = rag.question_queries(documents, today)
    assert {query.task.removeprefix("make-rag-") for query in asked} == {"recent", "older", "specific"}
    run(asked, server.models()[:1], store, progress=False)
    replies = {key.sample_id: text for key, text in answer_texts(store).items()}
    task, table = rag.rag_task(documents, replies, today)
    assert table["fault"].eq("").sum() == len(task.rows) > 0
    assert len(to_outcomes(store)) == len(queries)  # such questions are no samples


def test_figure_1_has_a_box_for_every_step_and_a_lane_for_every_stage():
    steps = pd.DataFrame(
        [
            ("Building", "Prompts", "64 queries"),
            ("Building", "Models", "4 models"),
            ("Using", "Router", "one"),
        ],
        columns=["stage", "step", "counts"],
    )
    fig = construction_figure(steps)
    texts = [text.get_text() for text in fig.axes[0].texts]
    assert {*steps["stage"], *steps["step"], *steps["counts"]} <= set(texts)
    assert len(fig.axes[0].patches) == len(steps)
    with pytest.raises(ValueError, match="0 stages"):
        construction_figure(steps.iloc[:0])

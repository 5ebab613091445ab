"""Made files with the schemas and quirks of the published ones, and pickles written opcode by opcode."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rb_support.catalog import MODELS
from rb_support.sources import SOURCES, Source, SourceFile, registry
from rb_support.sources.routellm import STRONG, WEAK

Place = Callable[..., None]
OPUS, SONNET, SONNET_35 = "claude-3-opus-20240229", "claude-3-sonnet-20240229", "claude-3-5-sonnet-20240620"
LARGE, SMALL = "Meta-Llama-3.1-70B-Instruct", "Meta-Llama-3.1-8B-Instruct"


def source(name: str, *files: SourceFile) -> Source:
    return Source(name, name, "none", "made for a test", files)


def entry(name: str, data: bytes, address: str = "http://127.0.0.1:9/", *, known: bool = True) -> SourceFile:
    sha256 = hashlib.sha256(data).hexdigest() if known else None
    return SourceFile(name, address + name, len(data), sha256)


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def shelf(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Function that puts made bytes in place of a source's files and registers their hashes.

    Its arguments: the source's name; the bytes of its first files in order, or a mapping from the last part
    of a file's registered name to its bytes. Files that are not given are struck off the source.
    """
    folder.mkdir()
    monkeypatch.setenv("RB_DATA_DIR", str(folder))
    published = dict(SOURCES)
    sources = dict(published)
    monkeypatch.setattr(registry.Registry, "__getitem__", lambda _, name: sources[name])

    def place(name: str, *contents: bytes | Mapping[str, bytes], known: bool = True) -> None:
        names = [Path(file.name).name for file in published[name].files]
        given = contents[0] if isinstance(contents[0], Mapping) else dict(zip(names, contents, strict=False))
        assert set(given) <= set(names)
        files = []
        for file, last in zip(published[name].files, names, strict=True):
            if last in given:
                put(folder, file.name, given[last])
                sha256 = hashlib.sha256(given[last]).hexdigest() if known else None
                files.append(replace(file, size=len(given[last]), sha256=sha256, exact=True))
        sources[name] = replace(published[name], files=tuple(files))

    return place


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def right_answers(rows: Iterable[tuple[str, bool, bool]], *, texts: bool = False) -> bytes:
    """RouteLLM's answers to a benchmark, as CSV: (prompt, whether GPT-4 is right, whether Mixtral is)."""
    frame = pd.DataFrame(rows, columns=["prompt", STRONG, WEAK])[["prompt", WEAK, STRONG]]
    if texts:
        frame[f"{WEAK}_response"] = [f" So it is {i}.\n#### {i}\n\n" for i in range(len(frame))]
        frame[f"{STRONG}_response"] = [f'It is "{i}", of course.' for i in range(len(frame))]
    return frame.to_csv(index=False).encode()


def leaks(*prompts: str) -> bytes:
    """RouteLLM's list of prompts that its training data holds, in these or in similar words."""
    rows = [
        {"train_prompt": f"Like: {text}\n", "eval_prompt": text, "train_idx": 9 * i, "eval_idx": i}
        for i, text in enumerate(prompts)
    ]
    return json_lines(rows).rstrip()


def questions(turns: Mapping[int, tuple[str, str]], category: str = "writing") -> bytes:
    """MT-Bench's questions of one category: number -> both turns; every other one has a reference."""
    rows = [
        {"question_id": number, "category": category, "turns": list(both)}
        | ({"reference": ["True.", "Four."]} if i % 2 else {})
        for i, (number, both) in enumerate(turns.items())
    ]
    return json_lines(rows)


def judgments(scores: Mapping[tuple[str, int], tuple[float, float]]) -> bytes:
    """GPT-4's judgments: (model, question) -> score of both turns; -1 where the judge gave none."""
    rows = [
        {
            "question_id": question,
            "model": model,
            "judge": ["gpt-4", "single-v1" if turn == 1 else "single-v1-multi-turn"],
            "user_prompt": "### User: …",
            "judgment": f"Rating: [[{score}]]",
            "score": score,
            "turn": turn,
            "tstamp": 1714636116.7 + turn,
        }
        for turn in (2, 1)
        for (model, question), both in scores.items()
        for score in [both[turn - 1]]
    ]
    return json_lines(reversed(rows[1:] + rows[:1]))  # as published, in no order


def router_answers(called: Mapping[int, str]) -> bytes:
    """What a commercial router answered to MT-Bench: question -> name of the model it says it called."""
    rows = [
        {
            "question_id": question,
            "answer_id": f"id{question}",
            "model_id": model,
            "choices": [{"index": 0, "turns": ["One.", "Two."]}],
            "tstamp": 1719779190.9,
        }
        for question, model in called.items()
    ]
    return json_lines(rows)


def alpaca(model: str, preferences: Sequence[float | None], *, against: str = "gpt4_1106_preview") -> bytes:
    """AlpacaEval's annotations of one model, as JSON with its escaped slashes; null: no preference."""
    rows = [
        {
            "instruction": f"Tell me either/or, as question {i} asks",
            "output_1": "a/b",
            "generator_1": against,
            "dataset": ["helpful_base", "koala"][i % 2],
            "output_2": "b\r\nc",
            "generator_2": model,
            "annotator": "weighted_alpaca_eval_gpt4_turbo",
            "preference": preference,
            "price_per_example": 0.00851,
            "time_per_example": 0.16,
            "raw_completion": "{'finish_reason': 'length'}",
        }
        for i, preference in enumerate(preferences)
    ]
    return json.dumps(rows, indent=2).replace("/", "\\/").encode()


def alpaca_pair(preferences: Sequence[float | None], protocol: str) -> bytes:
    """AlpacaEval's annotations of Mixtral by a protocol that knows ties."""
    rows = json.loads(alpaca("Mixtral-8x7B-Instruct-v0.1", preferences))
    return json.dumps([row | {"annotator": protocol} for row in rows]).encode()


def votes(winners: Sequence[str]) -> bytes:
    """Chatbot Arena's votes with prompts: one a winner, half of the conversations of two turns."""
    rows = [
        {
            "question_id": f"{i:032x}",
            "model_a": ["vicuna-13b", "claude-1"][i % 2],
            "model_b": "gpt-4",
            "winner": winner,
            "judge": f"arena_user_{i}",
            "turn": 1 + i % 2,
            "anony": True,
            "language": "English",
            "tstamp": 1682354167.285 + 86_400 * i,
            "turns": [f"Tell me of {i} ships. ", "And trains?"][: 1 + i % 2],
            "claude-2": [{"index": 0, "turns": ["1. Assess the Potential: … [[9]]"]}],
        }
        for i, winner in enumerate(winners)
    ]
    return json_lines(rows)


def bench(scores: Mapping[str, Sequence[float | None]], maker: str = "maker/") -> dict[str, bytes]:
    """Arena-bench: file name -> scores of its model on the questions, in another order than these.

    Question i is "Is i prime?"; a model is called as its file is, with `maker` before it.
    """
    asked = len(next(iter(scores.values())))
    questions = [
        {"question_id": f"q{i}", "category": "arena-bench-v1", "turns": [f"Is {i} prime?"]}
        for i in range(asked)
    ]
    judged = {
        name: json_lines(
            {"question_id": f"q{i}", "model": maker + name[:-6], "judgment": "Rating: …", "score": score}
            for i, score in reversed([*enumerate(each)])
        )
        for name, each in scores.items()
    }
    return {"question.jsonl": json_lines(questions), **judged}


def log(scores: Mapping[tuple[str, int], tuple[float, float]]) -> bytes:
    """Printed judgments: (model, question) -> score of both turns; -1 where the judge gave none."""
    lines = ["执行参数: a_model", "Stats:", "{", '    "judge": "gpt-4",', "}"]
    for turn, prompt in ((1, "single-v1"), (2, "single-v1-multi-turn")):
        lines += [
            f"question: {question}, turn: {turn}, model: {model}, score: {both[turn - 1]}, "
            f"judge: ('gpt-4', '{prompt}')"
            for (model, question), both in scores.items()
        ]
    return "\n".join([*lines, "运行时间: -28779413.63 分钟", "-" * 40, ""]).encode()


def searched(grades: Mapping[str, str], searches: Mapping[str, str]) -> dict[str, bytes]:
    """SimpleQA by systems: system -> a grade a question ("ABC"), and where it searched ("101").

    The question's text is 40 letters, an answer's 80. Rows of answers and grades are in other orders.
    """
    count = len(next(iter(grades.values())))
    about = "{'topic': 'Art', 'answer_type': 'Date', 'urls': ['https://x.org/it\\'s']}"
    asked = [
        {
            "question_id": f"simple_qa_{i}",
            "prompt": f"Which {i}?".ljust(40, "?"),
            "label": "20",
            "metadata": about,
        }
        for i in range(count)
    ]
    files = {"simple_qa_250.jsonl": json_lines(asked)}
    for system, marks in grades.items():
        did = searches.get(system, "0" * count)
        answers = [
            {
                "question_id": f"simple_qa_{i}",
                "response": "I know.".ljust(80, "."),
                "search_done": did[i] == "1",
            }
            for i in range(count)
        ]
        graded = [{"question_id": f"simple_qa_{i}", "grade": grade} for i, grade in enumerate(marks)]
        files[f"simple_qa_250_{system}.jsonl"] = json_lines(reversed(answers))
        files[f"simple_qa_250_{system}_results.jsonl"] = json_lines(graded[1:] + graded[:1])
    return files


def zeroeval(answers: Sequence[str], gold: Sequence[str], prompts: Sequence[str] | None = None) -> bytes:
    """ZeroEval's record of one model's answers to GSM8K, as JSON; `gold` without its leading "# "."""
    rows = [
        {
            "session_id": f"gsm8k-main-test-#{i}",
            "chat_history": ["\n## Question: …"],
            "model_input": "n/a",
            "output": [text],
            "generator": "maker/model@host",
            "configs": {"engine": "vllm", "temperature": 0.0},
            "dataset": "gsm",
            "id": f"gsm8k-main-test-#{i}",
            "question": prompts[i] if prompts else f"How many are {i}?",
            "answer": f"# {number}",
            "source": "openai/gsm8k",
            "config": "main",
            "task_type": "qa",
        }
        for i, (text, number) in enumerate(zip(answers, gold, strict=True))
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False).encode()


SLICE = {"arc-challenge": "arc_challenge", "mbpp": "mbpp", "winogrande": "winograde"}
"""Tasks of the published CSV files, and what their names start with (sic)."""


def slice_truth(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and costs (3 n, 11) in the made CSV files; nobody solves the last sample of a task."""
    i, j = np.arange(3 * n)[:, None], np.arange(len(MODELS))
    right = ((5 * i + 3 * j) % 11 > j) & (i % n < n - 1)
    return right.astype(float), 2.0 ** -(j + 7) * (1 + i % 3)


def slice_rows(n: int = 11, split: int = 2) -> pd.DataFrame:
    """Rows of the published CSV files, n a task, every cell the text that a CSV holds.

    Of ARC's first `split` samples one model's score is on a row of its own, which puts the question twice and
    pays for it twice. Two prompts of MBPP are the same. Claude v2 refuses where it is wrong.
    """
    rows = []
    samples = [(task, i) for task in SLICE for i in range(n)]
    for (task, i), scores, cost in zip(samples, *slice_truth(n), strict=True):
        known = dict(zip(MODELS, scores, strict=True))
        alone = MODELS[3 + i % 2] if task == "arc-challenge" and i < split else ""
        answers = {model: _slice_answer(task, i, model, bool(score)) for model, score in known.items()}
        lone = {alone: known.pop(alone)} if alone else {}
        rows.append(_slice_row(task, i, known, answers, cost, 1))
        if lone:
            rows.append(_slice_row(task, i, lone, answers, cost, 2))
    return pd.DataFrame(rows)


def _slice_row(
    task: str, i: int, scores: dict[str, float], answers: dict[str, str], cost: np.ndarray, copies: int
) -> dict[str, str]:
    best = [model for model in reversed(MODELS) if scores.get(model) == max(scores.values())]
    usd = dict(zip(MODELS, cost * copies, strict=True))
    return {
        "sample_id": f"{task}.val.{i}",
        "prompt": repr([_slice_prompt(task, i)] * copies),
        "eval_name": task,
        **{model: str(scores.get(model, "")) for model in sorted(MODELS)},
        **{f"{model}|model_response": repr([answers[model]]) for model in MODELS},
        **{f"{model}|total_cost": str(usd[model]) for model in reversed(MODELS)},
        "oracle_model_to_route_to": best[0] if max(scores.values()) else "no_model_correct",
    }


def _slice_prompt(task: str, i: int) -> str:
    if task == "mbpp":
        return f'Write a function that isn\'t "recursive" and adds {max(i, 1)} to a number.'
    example = "Which is warm?\nA) ice\nB) fire\nAnswer:\nB\n\n"
    return f"{example}Which is number {i} of those that we call {task}?\nA) this\nB) that\nAnswer:"


def _slice_answer(task: str, i: int, model: str, right: bool) -> str:
    if task == "mbpp":
        return f"def f(x):\n    'adds'\n    return x + {i if right else 'None'}"
    if model == "claude-v2" and not right:
        return ["I do", "Unfortunately I"][i % 2]
    return "AB"[(i + right) % 2] + "\n" * (model.startswith("m"))


def slice_csvs(frame: pd.DataFrame) -> dict[str, bytes]:
    """The six published CSV files: rows go to training and test in turn, numbered under an empty heading."""
    return {
        f"{start}_{part}.csv": frame[frame["eval_name"] == task].iloc[first::2].to_csv().encode()
        for task, start in SLICE.items()
        for first, part in enumerate(("train", "test"))
    }


TURNS = {81 + i: (f"Write of {i} ships.", f"Now of {i} trains.") for i in range(10)}
"""Questions of the made MT-Bench."""


def study(place: Place, n: int = 40) -> None:
    """All that RouteLLM's study reads: n questions of GSM8K and of two MMLU subjects each, ten of MT-Bench.

    Of each benchmark one prompt also stands in the training data. The judge gave no score for the second turn
    of question 84 by Claude 3 Opus and of question 85 by Martian. Opus also answered a question of its own.
    """
    _place_answers(place, n)
    _place_judgments(place)
    names = [Path(file.name).name for file in SOURCES["alpaca-eval"].files]
    mild = {name: alpaca(Path(name).stem, [1.0, 1 + k / 40] * 4) for k, name in enumerate(names, start=1)}
    place("alpaca-eval", mild)
    for_pair = alpaca_pair([1.0, 2.0, 1.5, 1.0], "alpaca_eval_gpt4_turbo_fn")
    place("alpaca-eval-pair", for_pair, alpaca_pair([1.0, 2.0, 0, 1.0], "alpaca_eval_cot_gpt4_turbo_fn"))
    place("arena-battles", votes(["model_a", "tie", "model_b", "model_b"] * 5).replace(b"a-13b", b"a-33b"))
    scored = bench({"gpt-4-turbo.jsonl": [9, 8, None], "Mixtral-8x7B-Instruct-v0.1.jsonl": [7, 8, 5]})
    names = {b"maker/gpt-4-turbo": STRONG.encode(), b"maker/Mixtral-8x7B-Instruct-v0.1": WEAK.encode()}
    names[b"Is "] = b"Tell me of the number "
    for written, model in names.items():
        scored = {name: content.replace(written, model) for name, content in scored.items()}
    place("arena-bench", scored)


def _place_answers(place: Place, n: int) -> None:
    def marked(prompts: list[str]) -> list[tuple[str, bool, bool]]:
        return [(text, i % 5 > 0, i % 5 > 1) for i, text in enumerate(prompts)]

    subjects = {name: [f"{name}? {i}" for i in range(n)] for name in ("anatomy", "virology")}
    mmlu = {f"mmlu_{name}.csv": right_answers(marked(prompts)) for name, prompts in subjects.items()}
    place("routellm-mmlu", {**mmlu, "contaminated_prompts.jsonl": leaks("virology? 3")})
    school = [f"A school has {i} pupils. How many feet?" for i in range(n)]
    place("routellm-gsm8k", right_answers(marked(school), texts=True), leaks(school[7]))
    gold = [str(2 * i) for i in range(n)]
    wrong_at = {OPUS: 10, SONNET: 8, LARGE: 9, SMALL: 5, "Mixtral-8x7B-Instruct-v0.1": 3}
    given = {
        f"{model}.json": [f'{{"answer": "{2 * i + (i % every == 0)}"}}' for i in range(n)]
        for model, every in wrong_at.items()
    }
    place("zeroeval-gsm", {name: zeroeval(answers, gold, school) for name, answers in given.items()})


def _place_judgments(place: Place) -> None:
    pair = {(STRONG, q): (9, 8 + q % 2) for q in TURNS} | {(WEAK, q): (7.5, 5 + q % 4) for q in TURNS}
    place("routellm-mtbench", questions(TURNS), judgments(pair), leaks(TURNS[83][0]))
    opus = {(OPUS, q): (9, -1 if q == 84 else 9) for q in [1, *TURNS]}
    place("mtbench-claude", judgments(opus | {(SONNET_35, q): (10, 9 + q % 2) for q in TURNS}))
    large = {(LARGE, q): (9, 8) for q in TURNS}
    small = {(SMALL, q): (8, 5 + q % 4) for q in TURNS} | {("a_finetuned_llama", q): (3, 3) for q in TURNS}
    place("mtbench-llama31", log(large), log(small))
    martian = {("martian", q): (8, -1 if q == 85 else 9) for q in TURNS}
    called = {q: ["gpt-4-turbo@openai", "mixtral-8x7b-instruct-v0.1@fireworks-ai"][q % 2] for q in TURNS}
    place(
        "routellm-commercial",
        judgments(martian | {("unify", q): (9, 9) for q in TURNS}),
        router_answers(dict.fromkeys(TURNS, "router")),
        router_answers(called),
    )


def wide(n: int = 6) -> pd.DataFrame:
    """Wide frame, all object columns: mixed scores, Chinese text, an equal prompt, one sample in halves."""
    rng = np.random.default_rng(3)
    texts = ["['Which?\\nA. it\\'s \"a\"\\nB. b']", "['哪个城市？']", "['Same prompt']", "['Same prompt']"]
    frame: dict[str, list[Any]] = {
        "sample_id": [f"mmlu-astronomy.val.{i}" for i in range(n)],
        "prompt": [texts[i] if i < len(texts) else f"['Question {i}']" for i in range(n)],
        "eval_name": ["mmlu-astronomy"] * n,
    }
    for model in MODELS:
        scores = rng.choice([0.0, 1.0, 0.25], n)
        frame[model] = [str(score) if i % 2 else float(score) for i, score in enumerate(scores)]
    for model in MODELS:
        frame[f"{model}|model_response"] = [repr([f"answer {i} — 好"]) for i in range(n)]
    for model in MODELS:
        frame[f"{model}|total_cost"] = [float(cost) for cost in rng.uniform(1e-5, 1e-2, n)]
    frame["oracle_model_to_route_to"] = ["no_model_correct"] * n
    whole = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in frame.items()})
    for model in MODELS:
        whole[f"{model}|total_cost"] = whole[f"{model}|total_cost"].astype(float)
    whole.columns = pd.Index(list(whole.columns), dtype=object)
    return _with_halves(whole)


def _with_halves(frame: pd.DataFrame) -> pd.DataFrame:
    """The last sample stands on two rows: its first model's score is on a row of its own."""
    first, *others = MODELS
    half = frame.iloc[[-1]].copy()
    half[others] = np.nan
    frame.loc[frame.index[-1], first] = np.nan
    return pd.concat([frame, half], ignore_index=True)


def long(n: int = 5) -> pd.DataFrame:
    """Long frame of the raw file: numeric texts, list literals, an index of its own."""
    rows = [
        {
            "sample_id": f"mbpp.dev.{i}",
            "prompt": "['写一个函数']" if i == 1 else f"['Write function {i}.']",
            "eval_name": "mbpp",
            "performance": str(float((i + j) % 2)),
            "model_response": f"['def f{i}']",
            "model_name": model,
            "cost": 0.001 * (j + 1),
        }
        for i in range(n)
        for j, model in enumerate(MODELS)
    ]
    frame = pd.DataFrame(rows)
    texts = [column for column in frame.columns if column != "cost"]
    frame = frame.astype(dict.fromkeys(texts, object))
    frame.insert(0, "index", np.arange(len(frame))[::-1])
    frame.index = pd.Index(np.arange(len(frame)) + 7)
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    return frame


class Global:
    """A name that a pickle looks up; it need not exist."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """A call that a pickle makes, and the state it then sets."""

    def __init__(self, function: Any, *args: Any, state: Any = None, new: bool = False) -> None:
        self.function, self.args, self.state, self.new = function, args, state, new


class _Assembler(pickle._Pickler):  # type: ignore[misc, name-defined]
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            super().save(obj.module)
            super().save(obj.name)
            self.write(pickle.STACK_GLOBAL)
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.args)
            self.write(pickle.NEWOBJ if obj.new else pickle.REDUCE)
            if obj.state is not None:
                self.save(obj.state)
                self.write(pickle.BUILD)
        else:
            super().save(obj, save_persistent_id)


def assemble(obj: Any, protocol: int = 4) -> bytes:
    """Pickle in which `Global` and `Call` stand for lookups and calls; nothing is looked up or called."""
    buffer = io.BytesIO()
    _Assembler(buffer, protocol).dump(obj)
    return buffer.getvalue()


def old_array(values: np.ndarray, core: str = "numpy.core") -> Call:
    """Array as NumPy 1 pickles it: what NumPy 2 says it would write, under the older module's name."""
    _, _, (version, shape, dtype, by_column, cells) = values.__reduce__()
    _, kind, flags = dtype.__reduce__()
    state = (version, shape, Call(Global("numpy", "dtype"), *kind, state=flags), by_column, cells)
    rebuild = Global(f"{core}.multiarray", "_reconstruct")
    return Call(rebuild, Global("numpy", "ndarray"), (0,), b"b", state=state)


def old_frame(frame: pd.DataFrame, layout: str) -> Call:
    """Frame as pandas of some years pickle it: "1.1", "1.4" or "2.0" (the published files' layout)."""
    texts = [i for i, column in enumerate(frame.columns) if frame[column].dtype == object]
    numbers = [i for i, column in enumerate(frame.columns) if frame[column].dtype != object]
    groups = [group for group in (texts, numbers) if group]
    kinds = [object if group is texts else float for group in groups]
    values = [
        old_array(np.array([frame.iloc[:, i].to_numpy(kind) for i in group]).reshape(len(group), len(frame)))
        for group, kind in zip(groups, kinds, strict=True)
    ]
    places = [old_array(np.array(group, dtype=np.int64)) for group in groups]
    make = Global("pandas.core.indexes.base", "_new_Index")
    labels = {"data": old_array(np.array(frame.columns, dtype=object)), "name": None}
    columns = Call(make, Global("pandas.core.indexes.base", "Index"), labels)
    rows = {"data": old_array(np.arange(len(frame))), "name": None}
    numbered = Global("pandas.core.indexes.numeric", "Int64Index")
    if layout == "2.0":
        rows, numbered = (
            {"name": None, "start": 0, "stop": len(frame), "step": 1},
            Global("pandas.core.indexes.range", "RangeIndex"),
        )
    manager = _old_manager(layout, values, places, [columns, Call(make, numbered, rows)])
    state = {
        "_data" if layout == "1.1" else "_mgr": manager,
        "_typ": "dataframe",
        "_metadata": [],
        "attrs": {},
    }
    return Call(Global("pandas.core.frame", "DataFrame"), state=state, new=True)


def _old_manager(layout: str, values: list[Call], places: list[Call], axes: list[Call]) -> Call:
    manager = Global("pandas.core.internals.managers", "BlockManager")
    if layout == "1.1":
        blocks = [{"values": v, "mgr_locs": p} for v, p in zip(values, places, strict=True)]
        state = (axes, [], [], {"0.14.1": {"axes": axes, "blocks": blocks}})
        return Call(manager, state=state, new=True)
    make = {"1.4": ("pandas.core.internals.blocks", "new_block")}.get(
        layout, ("pandas._libs.internals", "_unpickle_block")
    )
    blocks = tuple(Call(Global(*make), v, p, 2) for v, p in zip(values, places, strict=True))
    return Call(manager, blocks, axes)

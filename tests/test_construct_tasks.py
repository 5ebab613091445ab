"""Prompts of the eight datasets, task files, published files, and questions made from documents."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rb_support.catalog import DATASETS
from rb_support.construct import rag, tasks
from rb_support.construct.grading import grade_exact
from rb_support.construct.records import ConstructError
from rb_support.construct.tasks import Row, Task, TaskError, demo_tasks, read_task, read_tasks, template

TOWN = rag.Document("bridge", "The new footbridge of Ardenquay opened in March 2023.", date(2023, 3, 9))


def write(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_lettered_prompt_by_hand():
    task = Task(
        "arc-challenge", "letter", (Row("Two?", "B", ("one", "two")),), (Row("One?", "A", ("one", "two")),)
    )
    (query,) = task.queries()
    assert query.sample_id == "arc-challenge.test.0" and query.reference == "B" and query.metric == "letter"
    intro, example, question = query.turns[0].split("\n\n")
    assert "letter" in intro
    assert example == "Question: One?\nA. one\nB. two\nAnswer: A"
    assert question == "Question: Two?\nA. one\nB. two\nAnswer:"


def test_a_number_prompt_shows_how_examples_are_solved():
    example = Row("2 + 2?", "4", solution="Two more than 2.")
    task = Task("gsm8k", "number", (Row("3 + 3?", "6"),), (example,))
    assert "Question: 2 + 2?\nAnswer: Two more than 2. The answer is 4." in task.queries()[0].turns[0]


def test_programs_show_their_tests_and_chats_have_two_turns():
    program = Task("mbpp", "judge", (Row("Write f.", "def f(): …", tests=("f() == 1",)),))
    assert program.queries()[0].turns == ("Write f.\nThe program must pass these tests:\nf() == 1",)
    chat = Task("mtbench", "judge", (Row("Say it.", follow_up="Say it again."),))
    assert chat.queries()[0].turns == ("Say it.", "Say it again.")


def test_the_built_in_tasks_are_the_eight_datasets_with_the_papers_shots():
    table = tasks.datasets_table(demo_tasks())
    assert table["dataset"].tolist() == list(DATASETS)
    exact = ["MMLU", "HellaSwag", "GSM8K", "ARC-Challenge", "Winogrande"]
    assert dict(zip(table["dataset"], table["shots"], strict=True)) == {
        dataset: "5" if dataset in exact else "0" for dataset in DATASETS
    }
    assert table["rows"].eq(8).all()


def test_the_built_in_tasks_depend_on_the_seed_alone():
    assert demo_tasks(4, seed=3) == demo_tasks(4, seed=3) != demo_tasks(4, seed=4)
    ids = [query.sample_id for query in tasks.queries_of(demo_tasks(4))]
    assert len(set(ids)) == len(ids) == 32
    with pytest.raises(ValueError, match="1 to 8"):
        demo_tasks(9)


def test_no_built_in_question_is_also_an_example_and_no_letter_is_always_right():
    for task in demo_tasks():
        assert not {row.question for row in task.rows} & {row.question for row in task.examples}
        if task.metric == "letter":
            assert len({row.answer for row in task.rows}) > 1


@pytest.mark.parametrize("metric", tasks.METRICS)
def test_a_template_reads_back(tmp_path, metric):
    path = write(tmp_path, template(metric))
    task = read_task(path)
    assert task.metric == metric and task.rows and to_toml(task) == template(metric)


def to_toml(task):
    """Text of a task file."""
    head = {"task": task.name, "metric": task.metric, "shots": task.shots, "split": task.split}
    parts = [lines(head | ({"intro": task.intro} if task.intro else {}))]
    parts += [f"[[examples]]\n{lines(vars(row))}" for row in task.examples]
    return "\n".join([*parts, *[f"[[rows]]\n{lines(vars(row))}" for row in task.rows]])


def lines(entries):
    # JSON writes texts, numbers and lists of texts as TOML does, but for the delete character.
    kept = {key: value for key, value in entries.items() if value or key in ("question", "shots")}
    written = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in kept.items())
    return written.replace("\x7f", "\\u007F")


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(texts, texts, st.lists(texts, min_size=2, max_size=5), texts)
def test_any_text_survives_the_file(tmp_path_factory, question, other, choices, intro):
    rows = (Row(question, "A", tuple(choices)), Row(other, "B", tuple(choices)))
    task = Task("own", "letter", rows, rows[:1], intro=intro)
    path = tmp_path_factory.mktemp("task") / "own.toml"
    path.write_bytes(to_toml(task).encode())
    assert read_task(path) == task


HEAD = 'task = "own"\nmetric = "{}"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('metric = "letter"', "entry 'task' is missing"),
        ('task = "own"\nmetric = "grade"', "metric 'grade' is none of letter, number, judge"),
        (HEAD.format("judge"), "no rows; add at least one"),
        (HEAD.format("judge") + 'colour = "red"', "entry 'colour' is unknown"),
        (HEAD.format("judge") + "shots = 2\n[[rows]]\nquestion = 'Q'", "shots = 2, but there are 0 examples"),
        (
            HEAD.format("judge") + "[[rows]]\nquestion = 'Q'\n[[rows]]\nquestion = ' '",
            "row 2, column 'question'",
        ),
        (HEAD.format("judge") + "[[rows]]\nquestion = 3", "column 'question': 3 is not a text"),
        (HEAD.format("judge") + "[[rows]]\nquestion = 'Q'\ntests = ['a', 1]", "not a list of texts"),
        (
            HEAD.format("judge") + "[[rows]]\nquestion = 'Q'\nanwser = 'A'",
            "row 1, column 'anwser'",
        ),
        (HEAD.format("judge") + "[[rows]]\nquestion = 'Q'\nchoices = ['a', 'b']", 'set metric = "letter"'),
        (HEAD.format("judge") + "[[rows]]\nquestion = 'Q'\n[[examples]]\nquestion = 'E'", "example 1"),
        (HEAD.format("judge") + "rows = 'Q'", "write each as [[rows]]"),
        (HEAD.format("number") + "[[rows]]\nquestion = 'Q'\nanswer = 'many'", "'many' is no number"),
        (HEAD.format("letter") + "[[rows]]\nquestion = 'Q'\nanswer = 'A'", "0 are given; give 2 to 26"),
        (
            HEAD.format("letter") + "[[rows]]\nquestion = 'Q'\nanswer = 'C'\nchoices = ['a', 'b']",
            "'C' is none of A to B",
        ),
        ("task = ", "is no TOML"),
    ],
)
def test_a_bad_task_file_is_told_what_to_do(tmp_path, text, says):
    with pytest.raises(TaskError) as told:
        read_task(write(tmp_path, text))
    assert "mine.toml" in str(told.value) and says in str(told.value)


@pytest.mark.parametrize(
    "answer",
    ["1,5", "12,34", "1_000", "nan", "inf", "1e100", "1.234,5", "1 000", "12 or 13", "1/2", "", "0x10", "²"],
)
@pytest.mark.parametrize("table", ["rows", "examples"])
def test_a_reference_that_grading_can_never_match_is_refused(tmp_path, answer, table):
    head = HEAD.format("number") + "[[rows]]\nquestion = 'Q'\nanswer = '5'\n"
    text = head + f"[[{table}]]\nquestion = 'Q'\nanswer = '{answer}'\n"
    with pytest.raises(TaskError, match=r"mine\.toml: \w+ \d, column 'answer'.*write a plain one"):
        read_task(write(tmp_path, text))


@pytest.mark.parametrize(
    ("answer", "said"),
    [("１２", "12"), ("1,200", "1200"), ("-0.5", "-1/2"), (" 7 ", "7.0"), ("1e3", "1,000"), ("5.", "5")],
)
def test_a_reference_that_is_accepted_is_matched(tmp_path, answer, said):
    text = HEAD.format("number") + f"[[rows]]\nquestion = 'Q'\nanswer = '{answer}'\n"
    (query,) = read_task(write(tmp_path, text)).queries()
    assert grade_exact(query, f"The answer is {said}.").score == 1


def test_answers_end_where_the_next_question_would_begin():
    stops = {task.metric: {query.stop for query in task.queries()} for task in demo_tasks()}
    assert stops == {"letter": {("\nQuestion:",)}, "number": {("\nQuestion:",)}, "judge": {()}}
    assert all("\nQuestion:" in query.turns[0] for query in tasks.queries_of(demo_tasks()) if query.stop)


def test_a_single_file_is_a_list_of_one(tmp_path):
    assert [task.name for task in read_tasks(write(tmp_path, template("judge")))] == ["my-open-questions"]


def test_a_folder_of_task_files(tmp_path):
    with pytest.raises(TaskError, match="no task file"):
        read_tasks(tmp_path)
    write(tmp_path, template("letter"), "a.toml")
    write(tmp_path, template("number"), "b.toml")
    assert [task.name for task in read_tasks(tmp_path)] == ["my-choices", "my-numbers"]
    write(tmp_path, template("letter"), "c.toml")
    with pytest.raises(TaskError, match="stands in another file"):
        read_tasks(tmp_path)


def test_a_missing_file_and_an_unknown_metric(tmp_path):
    with pytest.raises(TaskError, match=r"no\.toml: cannot be read"):
        read_task(tmp_path / "no.toml")
    with pytest.raises(TaskError, match="choose one"):
        template("grade")


@pytest.mark.parametrize(
    ("today", "lasting", "kind"),
    [
        (date(2024, 1, 1), False, "recent"),
        (date(2026, 1, 1), False, "older"),
        (date(2026, 1, 1), True, "specific"),
    ],
)
def test_the_age_of_a_document_tells_what_to_ask(today, lasting, kind):
    document = rag.Document("d", "Text.", date(2023, 3, 9), lasting)
    (query,) = rag.question_queries([document], today)
    assert query.sample_id == f"make-rag-{kind}.d" and "Text." in query.turns[0] and "JSON" in query.turns[0]


def test_a_document_of_tomorrow_is_refused():
    with pytest.raises(ConstructError, match="after today"):
        rag.question_queries([TOWN], date(2023, 3, 8))


@pytest.mark.parametrize(
    ("question", "answer", "says"),
    [
        ("When did Ardenquay's footbridge open?", "march 2023", ""),
        ("When did Ardenquay's footbridge open?", "in May 2023", "does not stand"),
        ("When did Ardenquay's footbridge open?", "arch 2023", "does not stand"),
        ("Did the footbridge open in March 2023?", "March 2023", "gives its answer away"),
        ("Tell when it opened.", "March 2023", "no question"),
        ("What opened, according to the text?", "new footbridge", "reader has not seen"),
    ],
)
def test_made_questions_are_checked(question, answer, says):
    fault = rag.fault(question, answer, TOWN)
    assert fault == "" if not says else says in fault


@pytest.mark.parametrize(
    "reply", ["", "no JSON", "{broken", '{"question": "Q?"}', '{"question": "Q?", "answer": 3}', "[1]", "{1}"]
)
def test_a_reply_without_a_question_is_none(reply):
    assert rag.parse_question(reply) is None


def test_made_questions_become_a_task_and_the_rest_is_told():
    others = [rag.Document("lost", "Text.", TOWN.written), rag.Document("odd", "Text.", TOWN.written)]
    replies = {
        "make-rag-recent.bridge": '```json\n{"question": "When did it open?", "answer": "March 2023"}```',
        "make-rag-recent.odd": "I cannot do that.",
    }
    task, table = rag.rag_task([TOWN, *others], replies, date(2023, 6, 1))
    assert task.rows == (Row("When did it open?", "March 2023"),) and task.dataset == "RAG"
    assert table["fault"].tolist() == ["", "no reply", "the reply holds no question and answer in JSON"]
    with pytest.raises(ConstructError, match="none of 2"):
        rag.rag_task(others, replies, date(2023, 6, 1))

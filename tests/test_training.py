"""Training that is killed and started again, files that were tampered with, and models kept for later."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rb_support.outcomes import Battles
from rb_support.preference import training
from rb_support.preference.causal import CausalClassifier
from rb_support.preference.factorization import MatrixFactorization
from rb_support.preference.training import (
    CheckpointError,
    Plan,
    Training,
    read_sealed,
    seeded,
    write_sealed,
)
from rb_support.preference.win_model import MODEL_FILE, STATE_FILE, fitted, held_out, oriented

PLAN = Plan(steps=12, batch=8, learning_rate=0.05, warmup=0, decay=False, validate_every=3, patience=9)


@pytest.fixture(autouse=True)
def states_after_every_step(monkeypatch, tmp_path):
    """Every state is written, and the cache is one's own."""
    monkeypatch.setattr(training, "SAVE_SECONDS", 0)
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path / "cache"))


def battles(n=60):
    winner = np.array(["model_a", "model_b", "tie"])[np.arange(n) % 3]
    frame = pd.DataFrame({"prompt": [f"p{i // 2}" for i in range(n)], "model_a": "big", "model_b": "small"})
    return Battles(frame.assign(winner=winner))


def vectors(n=60):
    return np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)


def model(**changed):
    return MatrixFactorization(
        **{"strong": "big", "weak": "small", "dim": 4, "epochs": 3, "batch": 16, "progress": False} | changed
    )


def reader(**changed):
    """A text model that trains in a second, and writes states."""
    chosen = {"strong": "big", "weak": "small", "max_length": 8, "steps": 9, "validate_every": 4}
    return CausalClassifier("tiny", **chosen | {"batch": 4, "progress": False} | changed)


def texts():
    return battles().frame["prompt"].tolist()


class Interrupted(Exception):
    pass


def dropped_out(checkpoint=None, stop=None, plan=PLAN, identity="mine"):
    """Train a network with dropout, whose random state matters; cut off after `stop` steps if asked."""
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32))
    y = (x[:, 0] > 0).float()
    done = []

    def losses(rows):
        if network.training:
            done.append(1)
        if stop is not None and len(done) > stop:
            raise Interrupted
        score = network(x[rows]).squeeze(1)
        return nn.functional.binary_cross_entropy_with_logits(score, y[rows], reduction="none")

    with seeded(3):
        network = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1))
        training = Training(network, losses, np.arange(30), np.arange(30, 40), plan)
        history = training.run(checkpoint, identity, progress=False)
    return torch.cat([weight.detach().flatten() for weight in network.parameters()]), history, len(done)


@pytest.fixture(scope="module")
def undisturbed():
    return dropped_out()


@pytest.mark.parametrize("stop", range(1, 12))
def test_cut_off_after_any_step(tmp_path, stop, undisturbed):
    whole, history, _ = undisturbed
    with pytest.raises(Interrupted):
        dropped_out(tmp_path / STATE_FILE, stop)
    again, resumed, done = dropped_out(tmp_path / STATE_FILE)
    assert torch.equal(whole, again) and history == resumed
    assert done == 12 - stop


def test_cut_off_between_saves(tmp_path, undisturbed):
    path = tmp_path / STATE_FILE
    with pytest.raises(Interrupted):
        dropped_out(path, 5)
    early = path.read_bytes()
    with pytest.raises(Interrupted):
        dropped_out(path, 4)
    path.write_bytes(early)  # the steps after this save are done twice
    assert torch.equal(undisturbed[0], dropped_out(path)[0])


def test_finished_state_trains_no_more(tmp_path):
    first = dropped_out(tmp_path / STATE_FILE)
    second = dropped_out(tmp_path / STATE_FILE)
    assert torch.equal(first[0], second[0]) and second[2] == 0


FORKS = """
import itertools, os, signal, sys
from pathlib import Path
import torch._dynamo  # what every fork needs is imported once
from transformers.models.llama import modeling_llama
from rb_support.outcomes import Battles
from rb_support.preference import training
from rb_support.preference.causal import CausalClassifier as Model
from rb_support.preference.win_model import fitted

names, root = sys.argv[1].split(","), Path(sys.argv[2])
battles = Battles.from_parquet(root / "battles.parquet")
texts = battles.frame["prompt"].tolist()
training.SAVE_SECONDS = 0
chosen = dict(strong="big", weak="small", max_length=8, steps=9, validate_every=4, batch=4, progress=False)

def dies(original, at, calls=itertools.count(1)):
    def call(*args, **names):
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **names)
    return call

def counted(original):
    def call(*args, **names):
        print("trains", file=open(root / "log", "a"))
        return original(*args, **names)
    return call

def work(name):
    where, _, at = name.partition(" ")
    if where == "step":
        training.Training.step = dies(training.Training.step, int(at))
    elif where == "rename":
        Path.replace = dies(Path.replace, int(at))
    elif where == "save":
        Model.save = dies(Model.save, int(at))
    else:
        Model.fit = counted(Model.fit)
        name = "twice"
    os.environ["RB_CACHE_DIR"] = str(root / name)
    fitted(Model("tiny", **chosen), battles, texts)

def fork(name):
    process = os.fork()
    if process == 0:
        work(name)
        os._exit(0)
    return process

for process in [fork(name) for name in names]:
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""
POINTS = ["step 3", "rename 4", "step 8", "save 1"]
"""Early; between a state's writing and its renaming; after a look at the validation rows; at the end."""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Folders that killed processes left behind, and what two that asked at once did."""
    root = tmp_path_factory.mktemp("processes")
    battles().to_parquet(root / "battles.parquet")
    command = [sys.executable, "-c", FORKS, ",".join([*POINTS, "once", "again"]), str(root)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True, stdout=subprocess.PIPE
    )
    return root, [int(code) for code in done.stdout.split()]


@pytest.fixture(scope="module")
def whole():
    """Trained without a break."""
    return reader().fit(battles(), texts())


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_started_again(processes, whole, point, monkeypatch):
    root, codes = processes
    monkeypatch.setenv("RB_CACHE_DIR", str(root / point))
    (folder,) = (path for path in (root / point / "win_models").iterdir() if path.is_dir())
    assert codes[POINTS.index(point)] == -signal.SIGKILL
    assert not (folder / MODEL_FILE).exists() and (folder / STATE_FILE).exists()
    again = fitted(reader(), battles(), texts())
    assert np.array_equal(whole.win_rate(texts()), again.win_rate(texts()))
    assert again.history == whole.history
    assert not (folder / STATE_FILE).exists()


def test_two_processes_train_once(processes):
    root, codes = processes
    assert codes[-2:] == [0, 0]
    assert (root / "log").read_text() == "trains\n"
    assert list((root / "twice" / "win_models").glob(f"*/{MODEL_FILE}"))


def sealed(tmp_path):
    path = tmp_path / "state.safetensors"
    write_sealed(path, {"w": torch.arange(6.0), "n": torch.tensor(3)}, {"identity": "x"})
    return path


def test_sealed_files_come_back(tmp_path):
    tensors, record = read_sealed(sealed(tmp_path), "x")
    assert tensors["w"].tolist() == [0, 1, 2, 3, 4, 5] and tensors["n"].item() == 3
    assert record == {"identity": "x", "format": training.FORMAT}
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_any_flipped_bit_is_seen(tmp_path_factory, place, bit):
    path = sealed(tmp_path_factory.mktemp("flip"))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="delete it"):
        read_sealed(path, "x")


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 60, -1])
def test_truncated_file_is_refused(tmp_path, kept):
    path = sealed(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"state\.safetensors is no whole safetensors file.*delete it"):
        read_sealed(path, "x")


def test_foreign_files_are_refused(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=r"other\.safetensors is damaged, or not of rb_support"):
        read_sealed(path, "x")
    path.write_bytes(b"\x80\x04N.")  # a pickle
    with pytest.raises(CheckpointError, match="no whole safetensors"):
        read_sealed(path, "x")
    with pytest.raises(CheckpointError, match="No such file"):
        read_sealed(tmp_path / "none", "x")
    monkeypatch.setattr(training, "FORMAT", 99)
    old = sealed(tmp_path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format other than 1"):
        read_sealed(old, "x")


def test_another_trainings_state_is_not_gone_on_from(tmp_path):
    dropped_out(tmp_path / STATE_FILE)
    with pytest.warns(UserWarning, match="other settings or data.* made anew"):
        assert dropped_out(tmp_path / STATE_FILE, identity="yours")[2] == PLAN.steps
    path, short = tmp_path / "causal", reader(steps=1)
    short.fit(battles(), texts(), checkpoint=path)
    for other in (
        lambda: reader(steps=2).fit(battles(), texts(), checkpoint=path),
        lambda: short.fit(battles(), [text * 2 for text in texts()], checkpoint=path),
        lambda: reader(steps=1, strong="small", weak="big").fit(battles(), texts(), checkpoint=path),
    ):
        with pytest.warns(UserWarning, match="other settings or data"):
            other()


def test_learning_rate():
    plan = Plan(steps=10, learning_rate=1.0, warmup=0.3)
    assert [plan.rate(step) for step in range(10)] == pytest.approx(
        [0.25, 0.5, 0.75, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]
    )
    assert PLAN.rate(0) == PLAN.rate(11) == 0.05


def test_best_weights_are_kept_and_patience_ends():
    """Rows say 1, held rows say 0: every step makes the held loss worse, so the first look's weights stay."""
    weight = nn.Parameter(torch.zeros(1))
    network = nn.Module()
    network.weight = weight

    def losses(rows):
        target = (rows < 8).float()
        score = weight.expand(len(rows))
        return nn.functional.binary_cross_entropy_with_logits(score, target, reduction="none")

    plan = Plan(steps=50, batch=8, learning_rate=0.1, weight_decay=0, warmup=0, decay=False, validate_every=1)
    history = Training(network, losses, np.arange(8), np.arange(8, 10), plan).run(progress=False)
    assert len(history) == 5  # the first look and four without a better one
    assert weight.item() == pytest.approx(0.1, abs=1e-4)
    assert history[0][1] == pytest.approx(np.log(2))


def test_batches_of_alike_lengths_hold_every_row_once():
    lengths = np.random.default_rng(0).integers(1, 100, size=50)
    batches = training._shuffled(np.arange(50), 8, lengths, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(50))
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert (
        spread
        < 25
        < np.mean(
            [
                np.ptp(lengths[batch])
                for batch in training._shuffled(np.arange(50), 8, None, np.random.default_rng(1))
            ]
        )
    )


def test_held_out_splits_by_prompt():
    prompts = [f"p{i % 10}" for i in range(40)]
    rows, held = held_out(prompts, 0.2, seed=0)
    assert len(held) == 8 and len(rows) == 32
    assert {prompts[i] for i in rows}.isdisjoint(prompts[i] for i in held)
    assert len(held_out(["same"] * 3, 0.5, seed=0)[1]) == 0


def test_oriented_turns_shares_around():
    frame = pd.DataFrame(
        {
            "prompt": "q",
            "model_a": ["s", "w", "s", "s"],
            "model_b": ["w", "s", "x", "w"],
            "score": [1.0, 0.9, 1.0, 0.5],
        }
    )
    rows, share = oriented(Battles.from_frame(frame), "s", "w")
    assert rows.tolist() == [0, 1, 3] and share.tolist() == pytest.approx([1.0, 0.1, 0.5])
    with pytest.raises(ValueError, match="no battle is between 'w' and 'x'"):
        oriented(Battles.from_frame(frame), "w", "x")


def test_fitted_is_reused(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    first = fitted(model(), battles(), vectors())
    monkeypatch.setattr(MatrixFactorization, "fit", lambda *a, **k: pytest.fail("trained again"))
    second = fitted(model(), battles(), vectors())
    assert np.array_equal(first.win_rate(vectors()), second.win_rate(vectors()))
    assert second.history == first.history and second.settings == first.settings
    (folder,) = (path for path in (tmp_path / "win_models").iterdir() if path.is_dir())
    assert folder.name.startswith("MatrixFactorization-")


def test_other_settings_or_data_have_a_place_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    weighted = Battles(battles().frame.assign(weight=2.0))
    for made, rows, X in (
        (model(), battles(), vectors()),
        (model(seed=1), battles(), vectors()),
        (model(), weighted, vectors()),
        (model(), battles(), vectors() + 1),
    ):
        fitted(made, rows, X)
    assert len(list((tmp_path / "win_models").glob("MatrixFactorization-*/model.safetensors"))) == 4


def test_what_cannot_be_trusted_is_named_and_trained_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("RB_CACHE_DIR", str(tmp_path))
    kept = fitted(model(), battles(), vectors())
    identity = kept.identity
    (path,) = (tmp_path / "win_models").glob(f"*/{MODEL_FILE}")
    whole = path.read_bytes()
    for damage in (whole[:-1], b"", bytes([*whole[:-9], whole[-9] ^ 1, *whole[-8:]]), b"\x80\x04N."):
        path.write_bytes(damage)
        with pytest.warns(UserWarning, match=rf"{MODEL_FILE} is .*made anew"):
            fitted(model(), battles(), vectors())
        assert np.array_equal(read_sealed(path, identity)[0]["P"], kept.P)
    model(seed=5).fit(battles(), vectors()).save(path)
    with pytest.warns(UserWarning, match="other settings or data"):
        fitted(model(), battles(), vectors())
    assert np.array_equal(read_sealed(path, identity)[0]["P"], kept.P)


def test_a_damaged_state_starts_from_the_first_step(tmp_path, undisturbed):
    with pytest.raises(Interrupted):
        dropped_out(tmp_path / STATE_FILE, 5)
    (tmp_path / STATE_FILE).write_bytes(b"")
    with pytest.warns(UserWarning, match=rf"{STATE_FILE} is no whole .*made anew"):
        again = dropped_out(tmp_path / STATE_FILE)
    assert torch.equal(undisturbed[0], again[0]) and again[1:] == undisturbed[1:]

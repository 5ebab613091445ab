"""The benchmarks run; at small sizes, so their timings are not looked at."""

import importlib
import re
import sys

import pytest
from conftest import ROOT

SMALL = {
    "cascade.py": ["--queries", "200"],
    "construct.py": ["--calls", "300"],
    "factorization.py": ["--rounds", "1", "--calls", "8", "--models", "3", "--dim", "4"],
    "fit.py": ["--rows", "200", "--models", "2", "--prompts", "2", "--kinds", "ridge"],
    "hull.py": ["--points", "50"],
    "lambda_path.py": ["--train", "300", "--test", "100", "--repeats", "1"],
    "large_tables.py": ["--rows", "200", "300", "400", "--models", "3", "--draws", "2"],
    "mlp.py": ["--train", "300", "--test", "100", "--hidden", "8"],
    "serve.py": ["--requests", "40", "--measured", "10", "--prompts", "2"],
    "sw.py": ["--battles", "300", "--queries", "20", "--repeats", "1"],
    "threshold_sweep.py": ["--queries", "200", "--repeats", "1", "--draws", "5"],
}
SAYS = {  # of networks both comparisons, the fair one too, each with an error
    "large_tables.py": [
        r"^  honest AIQ, 1,000 resamples +\d+\.\d\d s +\d\.\d\d GB$",
        r"^  peak memory +-?\d\.\d\d$",
        r"^peak \d\.\d\d GB at \d+ rows \(limit 8 GB\): met$",
    ],
    "mlp.py": [
        r"^best of 4 networks: .* s, error 0\.\d{4}$",
        r"^one network: .* s, error 0\.\d{4}$",
        r"^11 regressors: .* s, error 0\.\d{4}$",
        r"^one regressor of 11 outputs: .* s, error 0\.\d{4}$",
        r"^one regressor of 11 outputs takes \d+\.\d\d times as long$",
        r"^\d+ times faster, choosing, than 11 regressors \(goal 10 at equal or better error\)",
    ],
}


def test_every_benchmark_is_run_here():
    elsewhere = {"raw_pickle_memory.py"}  # test_sources_memory.py runs it at a size that tells
    elsewhere |= {"sweep_kills.py", "sweep_workers.py"}  # minutes; test_sweep.py has a kill of each sort
    assert set(SMALL) | elsewhere == {path.name for path in (ROOT / "benchmarks").glob("*.py")}


@pytest.mark.parametrize(("name", "options"), SMALL.items())
def test_benchmark_reports(name, options, monkeypatch, capfd):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setattr(sys, "argv", [name, *options])
    importlib.import_module(name.removesuffix(".py")).main()
    said = capfd.readouterr().out
    assert any(character.isdigit() for character in said)
    for line in SAYS.get(name, []):
        assert re.search(line, said, flags=re.M), line

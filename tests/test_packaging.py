"""pyproject.toml, environment.yml and requirements-cpu.txt name the same packages and bounds."""

import re
import subprocess
import sys
import tomllib

import rattler
import yaml
from conftest import ROOT

CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
"""Packages that conda-forge offers under another name, without what a notebook does not need."""


def bounds(requirement: str) -> tuple[str, frozenset[str]]:
    name, rest = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement.replace(" ", "")).groups()
    return name, frozenset(filter(None, rest.split(",")))


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def conda():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    return [entry for entry in listed if isinstance(entry, str)], pip


def test_environment_agrees_with_pyproject():
    specs, pip = conda()
    wanted = dict(map(bounds, project()["dependencies"]))
    named = dict(map(bounds, [s for s in specs if s != "pip"]))
    assert named.pop("python") == {project()["requires-python"]}
    from_conda = {CONDA_NAMES.get(name, name): limits for name, limits in named.items()}
    from_pip = dict(bounds(line) for line in pip if not line.startswith("--"))
    assert not from_conda.keys() & from_pip.keys()
    assert from_conda | from_pip == wanted
    assert pip[-1] == "--editable .[test]"


def test_conda_reads_every_line():
    specs, _ = conda()
    for spec in specs:
        match = rattler.MatchSpec(spec, strict=True)
        assert match.name is not None


def test_torch_bound_is_everywhere_the_same():
    line = next(x for x in (ROOT / "requirements-cpu.txt").read_text().splitlines() if x.startswith("torch"))
    assert bounds(line) == bounds(next(x for x in project()["dependencies"] if x.startswith("torch")))


def test_every_dependency_has_a_lower_bound():
    listed = project()["dependencies"] + sum(project()["optional-dependencies"].values(), [])
    assert [x for x in listed if ">=" not in x] == []


def test_import_does_no_work():
    """No heavy library, no network and no environment variable is touched by importing the package."""
    code = "import sys, rb_support; print([m for m in ('numpy', 'torch', 'pooch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert out.stdout.strip() == "[]"

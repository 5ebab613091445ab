"""The page "From your logs to a router": its commands run as they stand, and say what it shows."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

PAGE = ROOT / "docs" / "from-your-logs-to-a-router.md"


def shape(text):
    """A text whose numbers, and names of models before which they stand, do not count."""
    return [re.sub(r"[-+]?\d[\d.,e-]*%?( (mini|small|medium|large|giant),?)*", "0", line) for line in text]


@pytest.mark.notebook
def test_the_commands_of_the_page_run(tmp_path):
    page = PAGE.read_text()
    blocks, shown = (
        re.findall(r"```bash\n(.*?)```", page, re.S),
        re.search(r"```text\n(.*?)```", page, re.S)[1],
    )
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    said = []
    for block in blocks:
        done = subprocess.run(["bash", "-euc", block], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append(done.stdout)
    assert {"router", "with-votes", "mine.parquet"} <= {path.name for path in tmp_path.iterdir()}
    (fitted,) = (text for text in said if text.endswith("saved in router\n") and "learnt from" in text)
    assert shape(fitted.splitlines()) == shape(shown.splitlines())
    assert any("and from 3 battles" in text for text in said)

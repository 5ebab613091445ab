"""The raw pickle is converted in under 4 GB: measured on a part of it, in proportion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is not told there")
def test_the_raw_pickle_needs_less_than_4_gb() -> None:
    """Joining the rows with all prompts in place takes about 5 GB, and fails here."""
    command = [sys.executable, "benchmarks/raw_pickle_memory.py", "--rows", "22000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [size] = re.findall(r"22,000 rows, ([\d,]+) bytes", done.stdout)
    assert int(size.replace(",", "")) == pytest.approx(22_000 * 1_198_134_681 / 401_467, rel=0.02)

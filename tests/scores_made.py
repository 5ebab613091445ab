"""Made scores of several models, for tests of pairs."""

import numpy as np
import pandas as pd

from rb_support.outcomes import Origin
from rb_support.studies.transfer import ModelScores


def scores_of(values, models=None, prompts=None, name="made"):
    table = np.asarray(values, dtype=float)
    n, m = table.shape
    ids = [str(row) for row in range(n)]
    frame = pd.DataFrame(
        {"sample_id": ids, "dataset": "GSM8K", "task": "t", "prompt": prompts or [f"q{i}" for i in ids]}
    )
    return ModelScores(frame, tuple(models or "abcdefgh"[:m]), table, Origin("own", name), (0.0, 1.0))

"""Commercial routers: the printed points, the shipped judgments, and the distance of ours to them."""

import numpy as np
import pandas as pd
import pytest
from scores_made import scores_of

from rb_support.pairs import threshold_sweep
from rb_support.report.preference_figures import commercial_figure
from rb_support.sources import load_pairs
from rb_support.studies.commercial import commercial, commercial_leads
from rb_support.studies.preference_study import WinRates


def test_the_figure_of_commercial_routers_names_every_line_and_point():
    curves = pd.DataFrame({"router": ["BERT"] * 2, "share": [0.0, 1.0], "score": [8.0, 9.0]})
    pair = scores_of([[0.9, 0.8], [1.0, 0.9], [0.8, 0.7]]).pair("a", "b")
    fig = commercial_figure(curves, commercial(), pair, stretch=10, title="MT Bench")
    assert fig.axes[0].get_legend_handles_labels()[1] == [
        "Random (band: 95%)",
        "BERT",
        "Unify (as printed)",
        "Martian (as printed)",
    ]
    ends = fig.axes[0].get_lines()[0].get_ydata()[[0, -1]]
    assert ends.tolist() == pytest.approx([8.0, 9.0])
    point = next(part for part in fig.axes[0].collections if part.get_label() == "Unify (as printed)")
    assert point.get_offsets().tolist() == [pytest.approx([45.625, 8.757862])]
    judged = commercial().assign(score_clean=[8.9, 8.5])
    legend = commercial_figure(curves, judged, pair, title="").axes[0].get_legend_handles_labels()
    assert legend[1][2:] == ["Unify (published judgments)", "Martian (published judgments)"]


def test_shipped_judgments_of_commercial_routers(real):
    clean = load_pairs("routellm-mtbench")
    table = commercial(clean.frame["sample_id"]).set_index("router")
    assert table["judged"].tolist() == pytest.approx(table["score"].tolist(), abs=1e-6)
    assert table["score_clean"].between(8, 9).all()
    assert table["share_in_answers"].fillna(-1).tolist() == [0.5, -1]
    best = [WinRates("D", "perfect", "MT Bench", clean, clean.strong - clean.weak)]
    leads = commercial_leads(best, rng=np.random.default_rng(0), draws=50)
    score = np.interp(0.45625, *threshold_sweep(clean.strong - clean.weak, clean.strong, clean.weak))
    assert leads["lead"][0] == pytest.approx(score - table.loc["Unify", "score_clean"], abs=0.02)
    assert ((leads["lead_low"] < leads["lead"]) & (leads["lead"] < leads["lead_high"])).all()
    gain = clean.strong - clean.weak
    shares, curve = threshold_sweep(gain, clean.strong, clean.weak)
    wanted = commercial(clean.frame["sample_id"])["score_clean"][0]
    assert leads["fewer"][0] == pytest.approx(1 - shares[np.argmax(curve >= wanted)] / 0.45625, abs=0.05)
    assert list(commercial().columns) == ["router", "strong_share", "score"]

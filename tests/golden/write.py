"""Write what is said now beside this file; a change of numbers is then seen, and meant, in the commit that makes it.

python tests/golden/write.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import pandas as pd  # noqa: E402
from cases import BELIEFS, CASES, EMBEDDINGS, FORECASTS, beliefs, embeddings, forecasts  # noqa: E402

for path, frame in (
    (FORECASTS, pd.concat([forecasts(name) for name in CASES])),
    (EMBEDDINGS, embeddings()),
    (BELIEFS, beliefs()),
):
    frame.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")

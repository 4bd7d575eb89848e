"""Time adaptation, forecasts and meta-training of the latent graph ODE beside other forecasters, in one run.

    python benchmarks/forecast_speed.py [--device cuda]

Made-up curves of 100 points; support of K = 5, 20 and 100 complete runs, 1,000 running ones of which a tenth to six
tenths are seen, forecast at their end. The least of `--repeat`; on all cores that torch takes. Meta-training is of
made-up tasks, in steps a second of 512 requests; where there is a C++ compiler, compiled by torch too. `metalcx-base`
is as it ships, and is timed from a cold start too.
LC-PFN reads no support; it is asked for runs of one cut at a time, has the size of the dynamics benchmark or the
published one, and is not trained, which does not change its time.
Writes `results/forecast_speed.csv`.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

import metalcx as mx
from metalcx._parallel import joined
from metalcx.bench.dynamics._pfn import PFN, PFNSize
from metalcx.corpora import Corpus
from metalcx.encoders import EncoderConfig, new_encoder
from metalcx.forecasters import LSTM, SRM, Baseline, ExpertGate, LatentGraphODE
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._ode_network import OdeNetwork
from metalcx.forecasters._traits import Architectures
from metalcx.graphs import all_nasbench201
from metalcx.transfer import MetaConfig, OdeMetaConfig, PoolConfig, TrainConfig, build_pool, prepared, train_on
from metalcx.transfer._ode_pool import build_ode_pool
from metalcx.transfer._ode_train import train_ode_on

RESULTS = Path(__file__).parent / "results"
FIELDS = ("forecaster", "what", "k", "runs", "seconds", "per_second")
POINTS, QUERIES = 100, 1000


def curves(n: int, seed: int) -> mx.Curves:
    """Runs that rise, each with a configuration and a cell."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, POINTS + 1)
    top, rate = rng.uniform(0.5, 0.9, (n, 1)), rng.uniform(0.02, 0.2, (n, 1))
    y = top * (1 - np.exp(-rate * t)) + rng.normal(0, 0.01, (n, POINTS))
    names = [f"run{i}" for i in range(n)]
    cells = [spec for spec, _ in zip((spec for spec, _ in all_nasbench201()), range(200), strict=False)]
    config = {"lr": 10 ** rng.uniform(-4, -1, n), "batch": 2 ** rng.integers(4, 9, n)}
    runs = pd.DataFrame({"run": names, "arch": [cells[i % len(cells)] for i in range(n)], **config})
    return mx.Curves.from_wide(pd.DataFrame(y, index=names, columns=t), mx.Metric("accuracy", "max"), runs)


def least(work: Callable[[], Any], repeat: int) -> float:
    """Seconds of the fastest of some repetitions."""
    spent = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent)


def timed(repeat: int) -> Iterator[dict[str, Any]]:
    """Adaptation and forecasts of each forecaster."""
    encoder, base = new_encoder(EncoderConfig("gated-gcn")), mx.load("metalcx-base")
    known = {
        "latent graph ODE": lambda: LatentGraphODE(OdeConfig(arch=encoder.width), encoder=encoder),
        "expert gate": ExpertGate,
        "metalcx-base": lambda: base,
        "LSTM": LSTM,
        "SRM": lambda: SRM("ols"),
        "med5": lambda: Baseline("med5"),
    }
    queries = curves(QUERIES, 1).truncate(np.round(np.random.default_rng(2).uniform(0.1, 0.6, QUERIES) * POINTS))
    for name, make in known.items():
        for k in (5, 20, 100):
            support = curves(k, 3)
            spent = least(lambda make=make, support=support: make().adapt(support), repeat)
            yield {"forecaster": name, "what": "adapt", "k": k, "runs": "", "seconds": spent, "per_second": 1 / spent}
            adapted = make().adapt(support)
            spent = least(lambda adapted=adapted: adapted.forecast(queries, float(POINTS)), repeat)
            rate = QUERIES / spent
            yield {
                "forecaster": name,
                "what": "forecast",
                "k": k,
                "runs": QUERIES,
                "seconds": spent,
                "per_second": rate,
            }


def in_context(repeat: int) -> Iterator[dict[str, Any]]:
    """Forecasts of the same running curves by LC-PFN."""
    queries = curves(QUERIES, 1)
    seen = np.round(np.random.default_rng(2).uniform(0.1, 0.6, QUERIES) * POINTS).astype(int)
    values = torch.from_numpy(queries.padded().y).float()
    published = PFNSize(width=512, layers=12, heads=4, bars=1000)
    for name, size in (("LC-PFN", PFNSize()), ("LC-PFN, published size", published)):
        model = PFN(size).eval()

        def work(model: PFN = model) -> None:
            with torch.no_grad():
                for cut in np.unique(seen):
                    x = torch.cat([torch.arange(1.0, cut + 1), torch.tensor([float(POINTS)])])
                    model.median(x, values[torch.from_numpy(seen == cut), :cut])

        spent = least(work, repeat)
        row = {"forecaster": name, "what": "forecast", "k": 0, "runs": QUERIES}
        yield {**row, "seconds": spent, "per_second": QUERIES / spent}


COLD = """
import metalcx as mx
from metalcx.testing import synthetic_curves
mx.load("metalcx-base").forecast(synthetic_curves(1, 20, seed=0).truncate(5.0), at=20.0)
"""


def cold(repeat: int) -> dict[str, Any]:
    """A fresh interpreter that loads what ships and forecasts one run, from its start to its end."""
    spent = least(lambda: subprocess.run([sys.executable, "-c", COLD], check=True), repeat)
    row = {"forecaster": "metalcx-base", "what": "load and forecast from a cold start", "k": 0, "runs": 1}
    return {**row, "seconds": spent, "per_second": 1 / spent}


def trained(device: str, steps: int = 60) -> Iterator[dict[str, Any]]:
    """Steps of meta-training of the two that are."""
    tasks = prepared(Corpus.open(Path(__file__).parents[1] / "datasets" / "smallnets"), 8)[:12]
    drawn, train = PoolConfig(per_task=10, per_small_task=10, mixed=20, synthetic=20), TrainConfig(steps=steps)
    encoder = new_encoder(EncoderConfig("gated-gcn"))
    with tempfile.TemporaryDirectory() as folder, joined(device):
        plain = build_pool(tasks, drawn, Path(folder))
        whole = build_ode_pool(tasks, drawn, Architectures(encoder), Path(folder))
        for name, work in (
            ("expert gate", lambda: train_on(plain, tasks, MetaConfig(pool=drawn, train=train))),
            ("latent graph ODE", lambda: train_ode_on(whole, tasks, OdeMetaConfig(pool=drawn, train=train), encoder)),
        ):
            spent = least(work, 1)
            row = {"forecaster": name, "what": f"meta-train on {device}", "k": "", "runs": ""}
            yield {**row, "seconds": spent, "per_second": steps / spent}
        if shutil.which("c++"):
            with compiled():
                first, spent = least(work, 1), least(work, 1)
            about = f"meta-train on {device}, compiled in {max(first - spent, 0):.0f} s"
            yield {**row, "what": about, "seconds": spent, "per_second": steps / spent}


@contextmanager
def compiled() -> Iterator[None]:
    """The forward pass of the ODE's network, and what autograd makes of it, compiled anew by torch."""
    plain = OdeNetwork.forward
    with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache):
        OdeNetwork.forward = torch.compile(plain, dynamic=True)  # type: ignore[method-assign]
        try:
            yield
        finally:
            OdeNetwork.forward = plain  # type: ignore[method-assign]


def main() -> None:
    """Time all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    about = f"# python {shlex.join(sys.argv)}; metalcx {mx.__version__}, torch {torch.__version__}, "
    about += f"{torch.get_num_threads()} threads, {platform.machine()}\n"
    rows = [cold(asked.repeat), *timed(asked.repeat), *in_context(asked.repeat), *trained(asked.device)]
    name = "forecast_speed.csv" if asked.device == "cpu" else "forecast_speed_gpu.csv"
    with (RESULTS / name).open("w", encoding="utf-8", newline="") as file:
        file.write(about)
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()

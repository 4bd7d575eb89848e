"""`metalcx suggest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metalcx.cli._options import HorizonOption, JsonOption, ModelArgument, RunsOption, SeedOption, TaskOption
from metalcx.cli._output import note, print_json, print_table, working
from metalcx.cli._tables import read_curves
from metalcx.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from metalcx.decide import Choice, Evidence
    from metalcx.encoders import Encoder
    from metalcx.transfer import Candidates, Posterior, Prior, TransferModel

#: Characters of an architecture that a table shows.
SHOWN = 40


def suggest(
    model: ModelArgument,
    candidates: Annotated[
        Path,
        typer.Option(
            "--candidates",
            metavar="F",
            help="CSV or Parquet, one row a candidate: arch (graph JSON, or a published format, which a column format "
            "may name), every other column a hyperparameter; run is an id.",
        ),
    ],
    curves: Annotated[
        Path | None,
        typer.Option(
            "--curves", metavar="F", help="Curves of candidates that were tried: run, t, value (task optional)."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="M", help="name:goal[:lower[:upper]] of the curves, as val_loss:min:0."),
    ] = None,
    runs: RunsOption = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many to suggest.")] = 5,
    explore: Annotated[
        float,
        typer.Option("--explore", metavar="P", min=0.0, max=1.0, help="Share chosen for what is unknown of them."),
    ] = 0.1,
    task: TaskOption = None,
    horizon: HorizonOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Suggest candidates to try next, from what held on other datasets, corrected by what was found on this one.

    A run of --curves belongs to the candidate with the same id in its column run, or else, by --runs, to that with the
    same architecture and hyperparameters; runs of no candidate teach as well. Finished runs count by their last value,
    running ones are not suggested again. MODEL is made by `metalcx fit-prior`.
    """
    import numpy as np

    from metalcx import hub
    from metalcx.cli._tried import tried_in
    from metalcx.corpora import read_table
    from metalcx.curves import Metric
    from metalcx.decide import suggest as choose
    from metalcx.transfer import Candidates

    if (curves is None) != (metric is None):
        raise DataError("--curves and --metric go together: give both, or neither")
    frame = read_table(candidates)
    known = Candidates.from_frame(frame, str(candidates))
    opened: TransferModel = hub.load_priors(model)
    prior = opened.prior_for(known)
    tried = None
    if curves is not None:
        data = read_curves(curves, Metric.parse(str(metric)), runs, task, horizon)
        tried = tried_in(data, known, frame, str(curves), str(candidates))
    whole = known if tried is None else tried.candidates
    with working("asking what held elsewhere"):
        encoder = _encoder(opened)
        belief = prior.belief(whole, encoder, seed)
        for row, value in () if tried is None else tried.values:
            belief.tell(row, value)
        alike = np.unique(whole.key.astype(str), return_inverse=True)[1]
        allowed = np.arange(len(whole)) < len(known)
        chosen = choose(belief, top, alike=alike, allowed=allowed, explore=explore, seed=seed, order=whole.key.tolist())
        evidence = _evidence(prior, whole, encoder, belief)
    if len(chosen) < top:
        note(f"metalcx: only {len(chosen)} candidates are left")
    _say(frame, chosen, evidence, prior, len(belief.values), as_json)


def _encoder(model: TransferModel) -> Encoder | None:
    """The encoder that a model was fitted with.

    Raises:
        DataError: If it is another one now.
    """
    from metalcx import hub

    if model.encoder is None:
        return None
    if hub.describe(model.encoder)["sha256"] != model.encoder_sha256:
        raise DataError(f"{model.encoder}: is not the encoder that the prior was fitted with; fit the prior again")
    return hub.load_encoder(model.encoder)


def _evidence(prior: Prior, whole: Candidates, encoder: Encoder | None, belief: Posterior) -> Evidence:
    """What speaks for and against each candidate."""
    import numpy as np
    from scipy.stats import kendalltau

    from metalcx.decide import ENOUGH, Evidence

    effects, tried = prior.effects, belief.rows[: len(belief.values)]
    likeness = None
    if len(tried) >= ENOUGH:
        expected = prior.expected(whole.take(np.array(tried)), encoder)
        likeness = np.nan_to_num([kendalltau(column, belief.values).statistic for column in expected.T])
    return Evidence(
        effects.names,
        effects.mean,
        effects.low * effects.high > 0,
        effects.same_sign,
        np.isfinite(effects.each).sum(0),
        prior.map.standardised(prior.characteristics(whole)),
        [name.removeprefix(f"{prior.name}/") for name in prior.names],
        prior.looked_up(whole),
        likeness,
    )


def _say(
    frame: pd.DataFrame, chosen: list[Choice], evidence: Evidence, prior: Prior, tried: int, as_json: bool
) -> None:
    rows: list[dict[str, Any]] = []
    for rank, choice in enumerate(chosen, 1):
        told = {str(name): value for name, value in frame.iloc[choice.row].items()}
        about = {"mean": choice.mean, "spread": choice.spread, "expected_improvement": choice.improvement}
        rows.append(
            {"rank": rank, "row": choice.row + 1, "candidate": told, **about, "explores": choice.explores}
            | {"why": evidence.why(choice)}
        )
    if as_json:
        print_json({"prior": prior.name, "sources": list(prior.names), "tried": tried, "suggestions": rows})
        return
    print_table(
        ("rank", "candidate", "mean", "spread"),
        [[row["rank"], _shown(row["candidate"], row["row"]), row["mean"], row["spread"]] for row in rows],
        f"{len(frame)} candidates, {tried} tried, {len(prior.names)} source tasks of {prior.name}",
        left=2,
    )
    for row in rows:
        typer.echo(f"{row['rank']}: " + "\n   ".join(row["why"]))


def _shown(told: dict[str, Any], row: int) -> str:
    """A candidate by its id and what it is, as short as can be."""
    name = str(told.pop("run", f"row {row}"))
    arch = str(told.pop("arch", ""))
    said = ", ".join(f"{key}={value}" for key, value in told.items())
    return ", ".join(filter(None, [name, arch if len(arch) <= SHOWN else f"{arch[:SHOWN]}...", said]))

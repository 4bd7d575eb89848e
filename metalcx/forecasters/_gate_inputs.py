"""What the expert gate sees: free of units, the same for every dataset.

Levels are in units of the support's spread, shapes in units of the prefix's range, errors in units of the
anchor (how wrong the best simple method is on the support); large numbers are compressed by asinh. Nothing
here names a dataset: raw values, lengths and metric types made transfer worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from metalcx.curves._batch import FloatArray
from metalcx.errors import ModelError
from metalcx.forecasters._aligned import WINDOWS, Aligned
from metalcx.forecasters._panel import EXPERTS, Fitted, fitted, held_out, points
from metalcx.forecasters._simple import prior_scale

#: The experts between which the gate chooses.
GATED = tuple(EXPERTS)

#: Those, and the centre.
JUDGED = (*GATED, "med5")

#: Raised with any formula here, so that episodes that were described by another are not taken for these.
FEATURES_VERSION = 2

#: Runs whose worth the prefix-based prior keeps against leave-one-out errors.
ANCHOR_PRIOR = 2.0

#: Points further than this many anchors from the centre are brought back to it.
REACH = 100.0


@dataclass(frozen=True)
class GateInputs:
    """Inputs of the network for u pairs and Q queries.

    Attributes:
        x: Features, shape (u, Q, N_FEATURES).
        offsets: Experts' points less the centre, in anchors, shape (u, Q, len(GATED)).
        centre: med5 (the last value without support), oriented, shape (u, Q).
        anchor: Unit of the output: the centre's error to be expected, oriented, shape (u, Q), positive.
        missed: By how much each support run came out above what med5 says of it from the others, oriented, shape
            (u, K); 0 below K = 2.
    """

    x: FloatArray
    offsets: FloatArray
    centre: FloatArray
    anchor: FloatArray
    missed: FloatArray


def gate_inputs(a: Aligned) -> GateInputs:
    """Run all experts and describe the requests; see `GateInputs`."""
    known = fitted(a, JUDGED)
    panel = points(a, JUDGED, known)
    centre = panel[..., -1]
    errors, bias, anchor, missed = _track_record(a, known)
    offsets = np.clip((panel[..., :-1] - centre[..., None]) / anchor[..., None], -REACH, REACH)
    wide = (*centre.shape, len(GATED))
    parts = [
        np.arcsinh(offsets),
        errors - np.log(anchor)[..., None] if a.k >= 2 else np.zeros(wide),
        np.arcsinh(np.broadcast_to(bias[:, None] / anchor[..., None], wide)) if a.k >= 2 else np.zeros(wide),
        _shape(a, anchor),
        _place(a, anchor),
        _times(a),
    ]
    x = np.nan_to_num(np.clip(np.concatenate(parts, -1), -12.0, 12.0))
    return GateInputs(x, offsets, centre, anchor, missed)


def _track_record(a: Aligned, known: Fitted) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Log error (u, Q, E) and bias (u, E) of each expert on the support, the anchor (u, Q), what med5 missed (u, K)."""
    prior = prior_scale(a)
    if a.k < 2:
        none = np.zeros((len(a.t), len(GATED)))
        return none[:, None], none, prior, np.zeros_like(a.future)
    miss = held_out(a, JUDGED, known) - a.future[..., None]
    size = np.abs(miss).mean(1)
    # The prior is bounded by what the support shows, so that one wild prefix does not decide.
    tiny = 1e-9 * np.abs(a.future).max(1, keepdims=True) + 1e-300
    prior = np.clip(prior, 0.1 * size[:, -1:], 4.0 * np.maximum(np.abs(miss[..., -1]).max(1, keepdims=True), tiny))
    anchor = (a.k * size[:, -1:] + ANCHOR_PRIOR * prior) / (a.k + ANCHOR_PRIOR)
    errors = np.log(size[:, None, :-1] + 0.01 * anchor[..., None])
    return errors, miss[..., :-1].mean(1), anchor, -miss[..., -1]


def _range(means: FloatArray, last: FloatArray, best: FloatArray) -> FloatArray:
    low = np.minimum(means.min(-1), last)
    extent = np.maximum(best, means.max(-1)) - low
    # Rounding of a flat prefix is no range.
    return np.where(extent > 1e-9 * np.abs(best), extent, 0.0)


def _shape(a: Aligned, anchor: FloatArray) -> FloatArray:
    """The prefix in units of its own range, and the support's mean prefix in units of its own; (u, Q, 2 W + 6)."""
    q = a.query
    extent = _range(q.means, q.last, q.best)
    unit = np.where(extent > 0, extent, 1.0)
    own = (q.means - q.last[..., None]) / unit[..., None]
    rest = [
        (q.best - q.last) / unit,
        np.log1p(q.variation / unit),
        np.arcsinh(extent / anchor),
        np.arcsinh((q.last - q.means[..., -1]) / anchor),
    ]
    if a.k:
        s = a.past
        extents = _range(s.means, s.last, s.best)
        units = np.where(extents > 0, extents, 1.0)
        typical = ((s.means - s.last[..., None]) / units[..., None]).mean(1)[:, None]
        level = np.log((extent + 0.01 * anchor) / (np.median(extents, 1)[:, None] + 0.01 * anchor))
        rough = np.log1p(q.variation / unit) - np.log1p(s.variation / units).mean(1)[:, None]
    else:
        typical, level, rough = np.zeros((1, 1, WINDOWS)), np.zeros_like(extent), np.zeros_like(extent)
    wide = np.broadcast_to(typical, own.shape)
    return np.concatenate([own, wide, np.stack([*rest, level, rough], -1)], -1)


N_PLACE = 13


def _place(a: Aligned, anchor: FloatArray) -> FloatArray:
    """Where the query stands among the support, and how the support's past and future hang together; (u, Q, 13)."""
    if not a.k:
        return np.zeros((*a.query.last.shape, N_PLACE))
    x, z, xq = a.past.last, a.future, a.query.last
    gain = z - x
    mid_x, mid_z, mid_gain = (np.median(v, 1, keepdims=True) for v in (x, z, gain))
    wide_x, wide_z, wide_gain = (
        np.abs(v - m).mean(1, keepdims=True) for v, m in ((x, mid_x), (z, mid_z), (gain, mid_gain))
    )
    tiny = 0.01 * anchor
    distance = np.abs(xq[:, :, None] - x[:, None])
    nearest = np.take_along_axis(gain, distance.argmin(-1), 1)
    order = np.sign(x[:, :, None] - x[:, None]) * np.sign(z[:, :, None] - z[:, None])
    tau = order.sum((1, 2)) / max(a.k * (a.k - 1), 1)
    rows = [
        np.arcsinh((xq - mid_x) / (wide_x + tiny)),
        (xq[:, :, None] > x[:, None]).mean(-1) - 0.5,
        np.arcsinh(distance.min(-1) / (wide_x + tiny)),
        np.log((wide_x + tiny) / anchor),
        np.log((wide_z + tiny) / anchor),
        np.log((wide_gain + tiny) / anchor),
        np.arcsinh(mid_gain / anchor),
        np.arcsinh((nearest - mid_gain) / anchor),
        np.arcsinh((z.max(1, keepdims=True) - xq) / anchor),
        np.arcsinh((z.min(1, keepdims=True) - xq) / anchor),
        np.broadcast_to(tau[:, None], xq.shape),
        np.broadcast_to(np.log(a.stretch + 1e-3).mean(1)[:, None], xq.shape),
        np.broadcast_to(a.stretch.std(1)[:, None], xq.shape),
    ]
    return np.stack(np.broadcast_arrays(*rows), -1)


def _times(a: Aligned) -> FloatArray:
    """How much of the way is seen, and how large the support is; (u, Q, 7)."""
    seen = np.maximum(a.t_cut - a.t_start, 0.0)
    ahead = a.t - a.t_cut
    k = np.full(len(a.t), float(a.k))
    # A support run of a single point has neither a past nor a future: 0 / 0, which `gate_inputs` makes 0.
    with np.errstate(invalid="ignore"):
        share, ratio = seen / (seen + ahead), np.log(ahead / (seen + 1e-3 * ahead))
    rows = [
        share,
        ratio,
        (seen > 0).astype(float),
        np.log1p(k),
        1.0 / (1.0 + k),
        (k == 0).astype(float),
        (k == 1).astype(float),
    ]
    return np.broadcast_to(np.stack(rows, -1)[:, None], (*a.query.last.shape, len(rows)))


N_FEATURES = 3 * len(GATED) + 2 * WINDOWS + 6 + N_PLACE + 7


def check_made_for(config: Mapping[str, Any]) -> None:
    """Refuse a model whose configuration names other experts or features.

    Raises:
        ModelError: If it does.
    """
    made_for = (config.get("experts"), config.get("features"))
    if made_for != (list(GATED), N_FEATURES):
        raise ModelError(f"the model was made for experts and features {made_for}; this version has others: retrain it")

"""The latent graph ODE: from a prefix to a state, along a law of its own, to a correction of the expert gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from metalcx.forecasters._gate_inputs import GATED, N_FEATURES
from metalcx.forecasters._gate_network import N_OUTPUTS, GateNetwork
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._ode_inputs import TOKEN
from metalcx.forecasters._ode_solve import Drift, Path, solve
from metalcx.forecasters._ode_tensors import Runs, Times
from metalcx.forecasters._opening import new_gates, opened
from metalcx.forecasters._peers import COURSE, RELATIONS
from metalcx.forecasters._traits import HASHED

#: Added to outputs, it has the mixture of experts be the last value.
LAST_ALONE = torch.zeros(N_OUTPUTS)
LAST_ALONE[GATED.index("last")] = 1e4


class Law(NamedTuple):
    """What decides how n runs go on.

    Attributes:
        mean: Of the state at the cut, shape (n, latent).
        log_std: Of that, shape (n, latent).
        push: What the drift adds before its activation, shape (n, hidden).
        metric: How much each distance to support runs counts, shape (n, heads, relations).
        alone: How much nothing counts beside them, shape (n, heads).
        opened: How far configuration and architecture are listened to, in [0, 1], shape (n, 2).
    """

    mean: Tensor
    log_std: Tensor
    push: Tensor
    metric: Tensor
    alone: Tensor
    opened: Tensor


class Reached(NamedTuple):
    """What the decoder reads of b requests.

    Attributes:
        state: Of each run at its time, what drives it, and what the support tells of that time, shape (b, columns).
        lost: Whose state stopped being a number, shape (b, 1).
    """

    state: Tensor
    lost: Tensor


class OdeNetwork(nn.Module):
    """Latent ODE after LC-GODE (Ding et al., AAAI 2025, section A.2 of their code), as a correction of an expert gate.

    Prefix -> q(z0) = N(mean, std); dz/ds = W tanh(V z + push + w s), in log time s, where `push` comes from the
    architecture's embedding, the configuration and the support; decoder of z(s) -> what is added to the outputs of the
    gate. Its last layers begin at 0: untrained, and wherever its share is 0, it is the gate.

    Args:
        config: Sizes and parts.

    Attributes:
        part: Which rows of a step of training, of how many, it is given, so that dropout is that of the whole step
            however many processes share it; None for all.
    """

    part: tuple[Tensor, int] | None = None
    arch_mean: Tensor
    arch_std: Tensor

    def __init__(self, config: OdeConfig) -> None:
        super().__init__()
        self.config = config
        h, z, heads = config.hidden, config.latent, config.heads
        self.gate = GateNetwork(config.gate)
        self.point = nn.Linear(TOKEN, h)
        self.beside = nn.Linear(TOKEN, h)
        self.weigh = nn.Linear(h, 1)
        self.task = nn.Linear(N_FEATURES, h)
        self.start = nn.Linear(2 * h, 2 * z)
        self.metric = nn.Linear(h, heads * (len(RELATIONS) + 1))
        self.open = new_gates()
        self.peers = nn.Linear(heads * (1 + len(COURSE)), h)
        self.config_in = nn.Linear(2 * HASHED, h, bias=False)
        self.arch_in = nn.Linear(max(config.arch, 1), h, bias=False)
        self.law = nn.Linear(h, h)
        self.pull = nn.Linear(z, h)
        self.clock = nn.Linear(1, h, bias=False)
        self.drift_out = nn.Linear(h, z, bias=False)
        self.read = nn.Linear(z + h + heads, h)
        self.out = nn.Linear(h, N_OUTPUTS)
        self.share = nn.Linear(N_FEATURES, 1)
        self.register_buffer("arch_mean", torch.zeros(max(config.arch, 1)))
        self.register_buffer("arch_std", torch.ones(max(config.arch, 1)))
        with torch.no_grad():
            for layer in (self.drift_out, self.out):
                layer.weight.zero_()
            self.out.bias.zero_()

    def forward(self, runs: Runs, times: Times, noise: Tensor) -> tuple[Tensor, Law, Tensor]:
        """Quantiles of each request, how each run goes on, and which runs were lost.

        Args:
            runs: n runs.
            times: b requests.
            noise: Standard normal draws for the states at the cuts, shape (draws, n or 1, latent).

        Returns:
            Quantiles in anchors around the centre, means over draws, shape (members, b, levels); the law; runs whose
            state stopped being a number in some draw, shape (n,).
        """
        law = self.laws(runs)
        paths = self.paths(law, times, noise)
        seen = [self.reach(law, path, times, runs) for path in paths]
        return self.decode(seen, times), law, torch.stack([path.lost for path in paths]).any(0)

    def laws(self, runs: Runs) -> Law:
        """How each run starts and what drives it."""
        config, h = self.config, self.config.hidden
        prefix = self._prefix(runs)
        task = silu(self.task(self._standard(runs.x)))
        mean, log_std = self.start(torch.cat([prefix, task], 1)).chunk(2, 1)
        weights = self.metric(task).reshape(len(task), config.heads, -1)
        heard = opened(self.open, runs, config.config, config.arch > 0)
        law = Law(mean, log_std.clamp(-6, 1) - 1, task, softplus(weights[..., 1:]), weights[..., 0], heard)
        push = task + self.config_in(self._told(runs.config * law.opened[:, :1]))
        if config.arch:
            known = (runs.arch - self.arch_mean) / self.arch_std * runs.has_arch
            push = push + self.arch_in(self._told(known * law.opened[:, 1:]))
        if config.support:
            seen = self._seen(law, runs.relation, torch.cat([runs.missed[..., None], runs.course], 2), runs.k)
            push = push + self.peers(seen.reshape(len(task), -1))
        return law._replace(push=self.drop(self.law(silu(push)).reshape(-1, h)), mean=self.drop(law.mean))

    def _prefix(self, runs: Runs) -> Tensor:
        """Points of each run, of its further metrics beside them, by attention; shape (n, hidden)."""
        points, there = silu(self.point(runs.tokens)), runs.tokens[..., -1:]
        if self.config.companions:
            beside = self._told(runs.beside.flatten(1)).reshape(runs.beside.shape)
            points = torch.cat([points, silu(self.beside(beside))], 1)
            there = torch.cat([there, beside[..., -1:]], 1)
        score = self.weigh(points).masked_fill(there == 0, -1e9)
        return (score.softmax(1) * points).sum(1)

    def drop(self, x: Tensor) -> Tensor:
        """In training without some of its numbers, shape (n, columns)."""
        return x if not self.training else x * self._kept(x, x.shape[1]) / (1 - self.config.dropout)

    def _told(self, x: Tensor) -> Tensor:
        """In training not of every run, shape (n, columns)."""
        return x if not self.training else x * self._kept(x, 1)

    def _kept(self, x: Tensor, columns: int) -> Tensor:
        rows, whole = (slice(None), len(x)) if self.part is None else self.part
        return (torch.rand(whole, columns, device=x.device)[rows] >= self.config.dropout).to(x)

    def paths(self, law: Law, times: Times, noise: Tensor) -> list[Path]:
        """Where the states of all runs go, once a draw, each as far as is asked of it; all draws in one solve."""
        start = (law.mean + noise * law.log_std.exp()).flatten(0, 1)
        push = law.push.repeat(len(noise), 1)
        until = times.s.new_zeros(len(law.mean))
        if self.config.dynamics == "ode":
            until = until.scatter_reduce(0, times.run, times.s, "amax")

        def drift_of(rows: Tensor) -> Drift:
            own = push[rows]

            def drift(s: Tensor, z: Tensor) -> Tensor:
                change: Tensor = self.drift_out(torch.tanh(self.pull(z) + own + self.clock(s[..., None])))
                return change

            return drift

        return solve(drift_of, start, until.repeat(len(noise)), self.config.method).split(len(law.mean))

    def reach(self, law: Law, path: Path, times: Times, runs: Runs) -> Reached:
        """Where the run of each request is by then, and what the support tells of it."""
        run = times.run
        own = Law(*(part[run] for part in law))
        told = self._seen(own, times.relation, times.missed[..., None], runs.k[run])[..., 0]
        told = told if self.config.support else torch.zeros_like(told)
        state = path.at(run, times.s) if self.config.dynamics == "ode" else self._direct(path.z[0, run], own, times.s)
        return Reached(torch.cat([state, own.push, told], 1), path.lost[run, None])

    def decode(self, reached: Sequence[Reached], times: Times) -> Tensor:
        """Quantiles of each request, means over draws; shape (members, b, levels)."""
        corrections = [self.out(self.drop(silu(self.read(one.state)))) for one in reached]
        if self.config.experts:
            share = torch.sigmoid(self.share(self._standard(times.x)))
            corrections = [share * correction for correction in corrections]
            # What the gate says is the same for all draws.
            said = self.gate.head(self.gate.embed(times.x))
        else:
            said = LAST_ALONE.to(corrections[0]).expand(self.config.gate.members, 1, -1)
        known = [torch.where(one.lost, 0.0, move) for one, move in zip(reached, corrections, strict=True)]
        return torch.stack([self.gate.decode(said + move, times.offsets) for move in known]).mean(0)

    def _direct(self, z0: Tensor, law: Law, s: Tensor) -> Tensor:
        """A state at s without a way to it."""
        return z0 + self.drift_out(torch.tanh(self.pull(z0) + law.push + self.clock(s[:, None])))

    def _standard(self, x: Tensor) -> Tensor:
        return (x - self.gate.mean) / self.gate.std

    def _seen(self, law: Law, relation: Tensor, values: Tensor, k: Tensor) -> Tensor:
        """Values of support runs, those least away counting most, beside nothing at all; shape (n, heads, columns).

        Args:
            law: How distances count.
            relation: Shape (n, K, relations).
            values: Shape (n, K, columns).
            k: How many of the K there are, shape (n,).
        """
        open_ = torch.cat([torch.ones_like(law.opened), law.opened], 1)
        logits = -torch.einsum("nkr,nhr->nhk", relation.square() * open_[:, None], law.metric)
        missing = torch.arange(relation.shape[1], device=k.device) >= k[:, None]
        logits = logits.masked_fill(missing[:, None], -1e9)
        weight = torch.cat([law.alone[..., None], logits], 2).softmax(2)[..., 1:]
        return torch.einsum("nhk,nkc->nhc", weight, values)


def divergence(law: Law) -> Tensor:
    """KL(q(z0) || N(0, 1)) of each run, shape (n,)."""
    return 0.5 * (law.mean.square() + (2 * law.log_std).exp() - 1 - 2 * law.log_std).sum(1)

"""Architectures of further families to trace, each a small one of its kind."""

import torch
from torch import nn
from torch.nn import functional


class MBConv(nn.Module):
    """EfficientNet's block: expand, convolve by channel, squeeze and excite, project, add (Tan and Le, 2019)."""

    def __init__(self, width=8, expansion=4, squeeze=2):
        super().__init__()
        wide = width * expansion
        self.expand = nn.Sequential(nn.Conv2d(width, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU())
        self.depth = nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False)
        self.norm = nn.BatchNorm2d(wide)
        self.down, self.up = nn.Conv2d(wide, squeeze, 1), nn.Conv2d(squeeze, wide, 1)
        self.project = nn.Sequential(nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = functional.silu(self.norm(self.depth(self.expand(x))))
        gate = torch.sigmoid(self.up(functional.silu(self.down(functional.adaptive_avg_pool2d(y, 1)))))
        return x + self.project(y * gate)


class ShuffleUnit(nn.Module):
    """ShuffleNet V2's unit: half of the channels pass, then both halves are interleaved (Ma et al., 2018)."""

    def __init__(self, width=8):
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1, groups=half),
            nn.Conv2d(half, half, 1),
        )

    def forward(self, x):
        kept, changed = x.chunk(2, 1)
        x = torch.cat([kept, self.branch(changed)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Translator(nn.Module):
    """An encoder and a decoder that looks at it (Vaswani et al., 2017)."""

    def __init__(self, width=8, heads=2, words=11):
        super().__init__()
        self.source, self.target = nn.Embedding(words, width), nn.Embedding(words, width)
        self.transformer = nn.Transformer(width, heads, 1, 1, 16, batch_first=True)
        self.out = nn.Linear(width, words)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.out(self.transformer(self.source(source), self.target(target), tgt_mask=mask))


class Mixer(nn.Module):
    """MLP-Mixer: perceptrons across patches and across channels in turn (Tolstikhin et al., 2021)."""

    def __init__(self, width=6, patches=4, hidden=5):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.across = nn.Sequential(nn.Linear(patches, hidden), nn.GELU(), nn.Linear(hidden, patches))
        self.within = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.across(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        x = x + self.within(self.norms[1](x))
        return self.head(self.norms[2](x).mean(1))


class WaveNet(nn.Module):
    """Causal convolutions of growing dilation, gated, with residuals and skips (van den Oord et al., 2016)."""

    def __init__(self, width=4, layers=3):
        super().__init__()
        self.stem = nn.Conv1d(1, width, 1)
        self.gates = nn.ModuleList(nn.Conv1d(width, 2 * width, 2, dilation=2**i) for i in range(layers))
        self.mixes = nn.ModuleList(nn.Conv1d(width, 2 * width, 1) for i in range(layers))
        self.out = nn.Conv1d(width, 7, 1)

    def forward(self, x):
        x, skips = self.stem(x), 0
        for i, (gate, mix) in enumerate(zip(self.gates, self.mixes, strict=True)):
            a, b = gate(functional.pad(x, (2**i, 0))).chunk(2, 1)
            residual, skip = mix(torch.tanh(a) * torch.sigmoid(b)).chunk(2, 1)
            x, skips = x + residual, skips + skip
        return self.out(functional.relu(skips))


class GraphNet(nn.Module):
    """Two graph convolutions with a dense adjacency matrix, normalised by degree (Kipf and Welling, 2017)."""

    def __init__(self, width=4):
        super().__init__()
        self.first, self.second = nn.Linear(3, width, bias=False), nn.Linear(width, 2, bias=False)

    def forward(self, x, adjacency):
        degree = adjacency.sum(-1).clamp(min=1).rsqrt()
        adjacency = degree[..., None] * adjacency * degree[..., None, :]
        return adjacency @ self.second(functional.relu(adjacency @ self.first(x)))


class HyperNetwork(nn.Module):
    """One network writes the weights of another (Ha, Dai and Le, 2017)."""

    def __init__(self, inside=4, outside=3, told=2):
        super().__init__()
        self.sizes = inside, outside
        self.writer = nn.Sequential(nn.Linear(told, 5), nn.ReLU(), nn.Linear(5, inside * outside))

    def forward(self, x, told):
        weights = self.writer(told).view(-1, self.sizes[1], self.sizes[0])
        return torch.bmm(weights, x.unsqueeze(-1)).squeeze(-1)


class Speller(nn.Module):
    """A GRU reads, another writes with attention until the sequence is as long as it may be (Bahdanau et al., 2015)."""

    def __init__(self, words=9, width=6, longest=3):
        super().__init__()
        self.longest = longest
        self.embed = nn.Embedding(words, width)
        self.reader = nn.GRU(width, width, batch_first=True)
        self.writer = nn.GRUCell(2 * width, width)
        self.out = nn.Linear(width, words)

    def forward(self, tokens):
        states, last = self.reader(self.embed(tokens))
        h, written = last[0], []
        word = tokens[:, :1].new_zeros(len(tokens))
        while len(written) < self.longest:
            weights = torch.softmax((states @ h.unsqueeze(-1)).squeeze(-1), -1)
            seen = torch.bmm(weights.unsqueeze(1), states).squeeze(1)
            h = self.writer(torch.cat([self.embed(word), seen], -1), h)
            written.append(self.out(h))
            word = written[-1].argmax(-1)
        return torch.stack(written, 1)


class VAE(nn.Module):
    """A variational autoencoder; noise is added in evaluation as well (Kingma and Welling, 2014)."""

    def __init__(self, inside=12, latent=2):
        super().__init__()
        self.encode, self.decode = nn.Linear(inside, 8), nn.Linear(latent, 8)
        self.mean, self.log_variance = nn.Linear(8, latent), nn.Linear(8, latent)
        self.out = nn.Linear(8, inside)

    def forward(self, x):
        h = torch.tanh(self.encode(x))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return torch.sigmoid(self.out(torch.tanh(self.decode(z)))), mean, log_variance


class Capsules(nn.Module):
    """Capsules that agree by routing, three times (Sabour, Frosst and Hinton, 2017)."""

    def __init__(self, inside=4, outside=3, width=2, wide=5, rounds=3):
        super().__init__()
        self.rounds = rounds
        self.weight = nn.Parameter(torch.randn(inside, outside, wide, width))

    def forward(self, x):
        votes = torch.einsum("iowk,nik->niow", self.weight, x)
        logits = x.new_zeros(votes.shape[:3])
        for _ in range(self.rounds):
            agreed = (torch.softmax(logits, 2).unsqueeze(-1) * votes).sum(1)
            square = (agreed**2).sum(-1, keepdim=True)
            agreed = square / (1 + square) * agreed / torch.sqrt(square + 1e-9)
            logits = logits + (votes * agreed.unsqueeze(1)).sum(-1)
        return agreed.norm(dim=-1)


class Experts(nn.Module):
    """A gate weighs three experts (Jacobs et al., 1991)."""

    def __init__(self, width=4):
        super().__init__()
        self.gate = nn.Linear(width, 3)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, 2)) for _ in range(3))

    def forward(self, x):
        outs = torch.stack([expert(x) for expert in self.experts], -1)
        return (outs * torch.softmax(self.gate(x), -1).unsqueeze(1)).sum(-1)


class Equilibrium(nn.Module):
    """One layer again and again until nothing changes (Bai, Kolter and Koltun, 2019)."""

    def __init__(self, width=4):
        super().__init__()
        self.inside, self.again = nn.Linear(3, width), nn.Linear(width, width, bias=False)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.05)

    def forward(self, x):
        u, z, before = self.inside(x), x.new_zeros(len(x), self.again.in_features), None
        while before is None or not torch.allclose(z, before, atol=1e-3):
            before, z = z, torch.tanh(u + self.again(z))
        return z


class FeaturePyramid(nn.Module):
    """Three scales, each joined by what comes up from the coarser one, with one head for all (Lin et al., 2017)."""

    def __init__(self, width=4):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(3 if i == 0 else width, width, 3, 2, 1) for i in range(3))
        self.lateral = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(3))
        self.head = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, x):
        scales = []
        for conv in self.down:
            x = functional.relu(conv(x))
            scales.append(x)
        above, found = None, []
        for scale, lateral in zip(scales[::-1], self.lateral, strict=True):
            here = lateral(scale)
            above = here if above is None else here + functional.interpolate(above, scale_factor=2)
            found.append(self.head(above))
        return found


class Folded(nn.Module):
    """Examples and positions in one axis, then apart again, as GPT-2 has them."""

    def __init__(self, width=4):
        super().__init__()
        self.inside, self.outside = nn.Linear(width, 6), nn.Linear(6, width)

    def forward(self, x):
        n, t, c = x.shape
        return self.outside(functional.relu(self.inside(x.reshape(n * t, c)).view(n, t, 6)))


class PointNet(nn.Module):
    """The same perceptron at each point, and the maximum over all (Qi et al., 2017)."""

    def __init__(self):
        super().__init__()
        self.each = nn.Sequential(nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 16, 1))
        self.head = nn.Linear(16, 5)

    def forward(self, points):
        return self.head(self.each(points.transpose(1, 2)).amax(2))

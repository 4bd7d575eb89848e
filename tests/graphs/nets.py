"""Architectures to trace, as people write them."""

import torch
from torch import nn
from torch.nn import functional


class ResidualMLP(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Linear(4, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + self.drop(functional.relu(block(x)))
        return self.head(x)


def plain_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, (1, 3), stride=2, padding=(0, 1), bias=False),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class BasicBlock(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = nn.Identity() if inside == out and stride == 1 else nn.Conv2d(inside, out, 1, stride)

    def forward(self, x):
        out = self.body(x)
        out += self.skip(x)
        return functional.relu(out, inplace=True)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(BasicBlock(8, 8, 1), BasicBlock(8, 16, 2))
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class DenseNet(nn.Module):
    def __init__(self, growth=4, layers=3):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 + i * growth, growth, 3, padding=1) for i in range(layers))
        self.head = nn.Linear(3 + layers * growth, 5)

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(torch.relu(layer(torch.cat(features, 1))))
        return self.head(functional.adaptive_avg_pool2d(torch.cat(features, 1), 1).squeeze(-1).squeeze(-1))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(4, 2, 1)
        self.three = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 3, padding=1))
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(4, 2, 1))

    def forward(self, x):
        return torch.cat([branch(x) for branch in (self.one, self.three, self.pool)], dim=1)


def separable():
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 1),
        nn.ReLU6(),
        nn.Conv2d(16, 16, 3, groups=4),
        nn.Hardswish(),
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, padding=1)
        self.deep = nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        skip = functional.leaky_relu(self.down(x))
        deep = functional.silu(self.deep(functional.max_pool2d(skip, 2)))
        up = self.up(deep)
        lost = skip.shape[2] - up.shape[2]
        return self.out(torch.cat([skip, functional.pad(up, (0, lost, 0, lost))], 1))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM, **options):
        super().__init__()
        self.embed = nn.Embedding(30, 8)
        self.rnn = kind(8, 6, **options)
        self.head = nn.Linear(6 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        if self.rnn.batch_first:
            return self.head(self.rnn(x)[0][:, -1])
        return self.head(self.rnn(x.transpose(0, 1))[0][-1])


class HandWrittenGRU(nn.Module):
    """Loops over time steps, and says that it is one operation."""

    def __init__(self, inside, hidden, declared=True):
        super().__init__()
        self.hidden = hidden
        self.input = nn.Linear(inside, 3 * hidden)
        self.state = nn.Linear(hidden, 3 * hidden)
        self.unused = nn.Linear(7, 7)
        if declared:
            self.graph_node = {"op": "gru", "hidden": hidden, "layers": 1}

    def forward(self, x):
        h = x.new_zeros(len(x), self.hidden)
        states = []
        for step in x.unbind(1):
            ri, zi, ni = self.input(step).chunk(3, -1)
            rh, zh, nh = self.state(h).chunk(3, -1)
            z = torch.sigmoid(zi + zh)
            h = (1 - z) * torch.tanh(ni + torch.sigmoid(ri + rh) * nh) + z * h
            states.append(h)
        return torch.stack(states, 1), h


class Around(nn.Module):
    """A classifier around a recurrent module that returns (states, last)."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(cell.hidden, 2)

    def forward(self, x):
        return self.head(self.cell(x)[1])


class FlashAttention(nn.Module):
    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c))


class PlainAttention(FlashAttention):
    def forward(self, x):
        n, t, c = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / (c // self.heads) ** 0.5).softmax(-1)
        return self.out(torch.einsum("nhts,nhsd->nhtd", weights, v).transpose(1, 2).reshape(n, t, c))


class VisionTransformer(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, 5, width))
        layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        return self.head(self.encoder(x)[:, 0])


class ByShape(nn.Module):
    """Halves the image until it is small: as many convolutions as that takes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)

    def forward(self, x):
        while x.shape[-1] > 4:
            x = self.conv(x)
        return x


class Tied(nn.Module):
    """A language model whose embedding is its output matrix too."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 6)
        self.out = nn.Linear(6, 20)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        return self.out(self.embed(tokens))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Linear(4, 3)
        self.head = nn.Linear(3, 1)

    def forward(self, a, b):
        return self.head((self.tower(a) - self.tower(b)).abs())


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.dead, self.never = nn.Linear(4, 2), nn.Linear(4, 9), nn.Linear(5, 5)

    def forward(self, x, y):
        self.seen = torch.tanh(self.dead(x) + y.sum())
        return self.used(x)

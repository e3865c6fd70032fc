"""The networks that are trained and used, built from any module with PyTorch's interface."""

from __future__ import annotations

from typing import Any

from .registry import Peer


def mlp(p: Peer) -> Any:
    nn = p.nn
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def wide_mlp(p: Peer) -> Any:
    nn = p.nn
    hidden = [layer for _ in range(4) for layer in (nn.Linear(1024, 1024), nn.GELU())]
    return nn.Sequential(*hidden, nn.Linear(1024, 10))


def cnn(p: Peer) -> Any:
    nn = p.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def resnet(p: Peer) -> Any:
    nn = p.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.norms = nn.ModuleList([nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)])
            self.around = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

        def forward(self, x: Any) -> Any:
            y = p.F.relu(self.norms[0](self.first(x)))
            return p.F.relu(self.norms[1](self.second(y)) + self.around(x))

    blocks = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *blocks, *head)


def gpt(p: Peer, *, words: int = 256, width: int = 128, heads: int = 4, layers: int = 2, length: int = 64) -> Any:
    nn = p.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            batch, n, _ = x.shape
            parts = self.qkv(self.norms[0](x)).split(width, dim=2)
            q, k, v = (y.view(batch, n, heads, width // heads).transpose(1, 2) for y in parts)
            y = p.F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
            x = x + self.out(y.contiguous().view(batch, n, width))
            return x + self.down(p.F.gelu(self.up(self.norms[1](x))))

    class GPT(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words, bias=False)

        def forward(self, tokens: Any) -> Any:
            x = self.words(tokens) + self.places(p.m.arange(tokens.shape[1]))
            return self.head(self.norm(self.blocks(x))).view(-1, words)

    return GPT()

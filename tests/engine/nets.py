"""Small networks, each with one habit that an engine which swaps weights and reuses results must survive."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrizations

from forgetaudit.data.batches import Batch
from forgetaudit.engine.variants import Variant, make_variant


class Block(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += identity
        return self.relu(y)


class ConvNet(nn.Module):
    """BatchNorm, ReLU in place, a residual added in place, one ReLU module called twice per block."""

    def __init__(self, c: int = 8) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = (
            nn.Conv2d(3, c, 3, padding=1),
            nn.BatchNorm2d(c),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(2)
        self.blocks = nn.Sequential(*[Block(c) for _ in range(3)])
        self.fc = nn.Linear(c, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.relu(self.bn(self.conv(x))))
        y = self.blocks(y)
        return self.fc(y.mean((2, 3)))


class Scale(nn.Module):
    """Writes to its argument, and returns it."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(d) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(self.scale)


class Fork(nn.Module):
    """Returns a tuple that holds its own input, and a dict."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.linear = nn.Linear(d, d)

    def forward(self, x: Tensor, *, flag: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
        return x, {"linear": self.linear(x), "input": x if flag else x + 1}


class Nasty(nn.Module):
    """In place on arguments, outputs that alias inputs, a module called three times, a container changed by others."""

    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.stem, self.scale, self.fork = nn.Linear(d, d), Scale(d), Fork(d)
        self.thrice = nn.Sequential(nn.Linear(d, d), nn.ReLU(inplace=True))
        self.identity, self.head = nn.Identity(), nn.Linear(d, 5)

    def forward(self, x: Tensor) -> dict[str, Any]:
        x += 0.25
        hidden = self.stem(x)
        kept = hidden
        scaled = self.scale(hidden)
        same, found = self.fork(scaled)
        same += found["linear"]
        found["more"] = self.identity(found["input"])
        found["more"] -= 0.5
        for _ in range(3):
            kept = kept + self.thrice(found["input"])
            found["input"].add_(0.125)
        return {"logits": self.head(kept), "hidden": (same, kept)}


class Attention(nn.Module):
    def __init__(self, d: int, n_heads: int) -> None:
        super().__init__()
        self.qkv, self.out, self.n_heads = nn.Linear(d, 3 * d), nn.Linear(d, d), n_heads

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        bias = None if mask is None else mask[:, None, None, :].bool()
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(y.transpose(1, 2).reshape(n, t, d))


class EncoderBlock(nn.Module):
    def __init__(self, d: int, n_heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(d), Attention(d, n_heads)
        self.norm2, self.up, self.act, self.down = (
            nn.LayerNorm(d),
            nn.Linear(d, 4 * d),
            nn.GELU(),
            nn.Linear(4 * d, d),
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.norm1(x), mask)
        return x + self.down(self.act(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Tokens and a mask in, blocks in a ModuleList; with `tied`, the head is the embedding."""

    def __init__(self, d: int = 16, n_blocks: int = 4, *, tied: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, d)
        self.blocks = nn.ModuleList([EncoderBlock(d, 4) for _ in range(n_blocks)])
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 20, bias=False)
        self.register_buffer("position", torch.randn(32, d), persistent=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.embed(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, mask=mask)
        return self.head(self.norm(x))


class FastPath(nn.Module):
    """PyTorch's own encoder, whose fused kernels never call the modules inside."""

    def __init__(self, d: int = 16) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(d, 4, 32, batch_first=True)
        self.embed, self.encoder, self.head = (
            nn.Embedding(20, d),
            nn.TransformerEncoder(layer, 3),
            nn.Linear(d, 5),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(tokens))[:, 0])


class Recurrent(nn.Module):
    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(20, d), nn.LSTM(d, d, num_layers=2, batch_first=True)
        self.head = nn.Linear(d, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embed(tokens))
        return self.head(hidden[:, -1])


class Branching(nn.Module):
    """Which modules run depends on the data and on the weights."""

    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.stem, self.left, self.right, self.head = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        y = self.left(y) if y.sum() > 0 else self.right(y).relu_()
        return self.head(y)


class Borrower(nn.Module):
    """Reads the weight of a module that it does not own."""

    def __init__(self, lender: nn.Linear, d: int) -> None:
        super().__init__()
        self.linear, self._lender = nn.Linear(d, d), [lender]

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.linear(x), self._lender[0].weight)


class Borrowing(nn.Module):
    """Module `other` is never called: its weight is read by the model and by a module beside it."""

    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.stem, self.other = nn.Linear(d, d), nn.Linear(d, d)
        self.borrower, self.head = Borrower(self.other, d), nn.Linear(d, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(self.stem(x), self.other.weight)
        return self.head(self.borrower(y))


class Noisy(nn.Module):
    """Draws random numbers in eval."""

    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.linear = nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.linear(x), 0.5, training=True)


class Caching(nn.Module):
    """Counts its calls and adds what it returned last time."""

    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.linear, self.n_calls, self.last = nn.Linear(d, d), 0, None
        self.history: list[float] = []
        self.register_buffer("total", torch.zeros(d))

    def forward(self, x: Tensor) -> Tensor:
        self.n_calls += 1
        y = self.linear(x) + self.n_calls + len(self.history)
        if self.last is not None:
            y = y + self.last.mean(0) + self.total
        self.last = y
        self.total += y.mean(0)
        self.history.append(0.5)
        return y


def between(middle: nn.Module, d: int = 12) -> nn.Sequential:
    """`middle` between two layers on each side."""
    return nn.Sequential(nn.Linear(d, d), nn.Tanh(), middle, nn.LayerNorm(d), nn.Linear(d, 5))


def images(n: int = 6, seed: int = 0) -> tuple[Tensor, ...]:
    return (torch.randn(n, 3, 12, 12, generator=torch.Generator().manual_seed(seed)),)


def rows(n: int = 6, seed: int = 0) -> tuple[Tensor, ...]:
    return (torch.randn(n, 12, generator=torch.Generator().manual_seed(seed)),)


def tokens(n: int = 6, seed: int = 0) -> tuple[Tensor, ...]:
    return (torch.randint(20, (n, 9), generator=torch.Generator().manual_seed(seed)),)


# Name -> the network, its inputs, layers that give features, and the names that a fine-tune of its last part changes.
NETS: Mapping[
    str, tuple[Callable[[], nn.Module], Callable[..., tuple[Tensor, ...]], tuple[str, ...], tuple[str, ...]]
]
NETS = {
    "conv": (ConvNet, images, ("conv", "bn", "blocks.0", "blocks.2", "fc"), ("blocks.2.", "fc.")),
    "nasty": (Nasty, rows, ("stem", "scale", "fork", "head"), ("head.",)),
    "nasty middle": (Nasty, rows, ("stem", "scale", "fork", "head"), ("fork.", "head.")),
    "transformer": (
        Transformer,
        tokens,
        ("embed", "blocks.0", "blocks.1.up", "blocks.3"),
        ("blocks.3.", "head."),
    ),
    "fast path": (FastPath, tokens, ("embed", "encoder", "encoder.layers.0"), ("encoder.layers.2.", "head.")),
    "lstm": (Recurrent, tokens, ("embed", "lstm"), ("head.",)),
    "lstm trained": (Recurrent, tokens, ("embed", "lstm"), ("lstm.", "head.")),
    "tied": (lambda: Transformer(tied=True), tokens, ("embed", "blocks.3", "head"), ("blocks.3.",)),
    "branching": (Branching, rows, ("stem", "head"), ("head.",)),
    "borrowing": (Borrowing, rows, ("stem", "borrower", "head"), ("other.",)),
    "noisy": (lambda: between(Noisy()), rows, ("0", "2", "4"), ("4.",)),
    "caching": (lambda: between(Caching()), rows, ("0", "2", "4"), ("4.",)),
    "weight norm": (
        lambda: between(parametrizations.weight_norm(nn.Linear(12, 12))),
        rows,
        ("0", "2", "4"),
        ("2.parametrizations.weight.original0", "4."),
    ),
}


def build(name: str) -> nn.Module:
    """The network in eval mode, always with the same weights, its BatchNorm statistics away from 0 and 1."""
    torch.manual_seed(7)
    model = NETS[name][0]().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
    return model


def tune(model: nn.Module, prefixes: Sequence[str], seed: int = 1) -> nn.Module:
    """A deep copy whose tensors under one of `prefixes` moved a little."""
    tuned, generator = deepcopy(model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in tuned.state_dict(keep_vars=True).items():
            if name.startswith(tuple(prefixes)) and tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=generator))
    return tuned


def variants_of(models: Mapping[str, nn.Module], skeleton: nn.Module) -> list[Variant]:
    """One variant for each model; tensors that are bit-identical to the first one's are its tensors."""
    made: list[Variant] = []
    for name, model in models.items():
        made.append(make_variant(name, skeleton, model.state_dict(), like=made[0] if made else None))
    return made


def batch(args: tuple[Tensor, ...], **kwargs: Any) -> Batch:
    """Examples without labels; a keyword `mask` is the batch's mask and an argument of the model."""
    ids = tuple(f"x{i}" for i in range(len(args[0])))
    return Batch(ids=ids, args=args, kwargs=kwargs, mask=kwargs.get("mask"))

"""The preview of locate: the rise in log loss shared out along the way from base to tuned, as a slow sum has it."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.fixtures import networks
from tests.reference.slopes import loss_of, share
from torch import Tensor, nn

from forgetaudit.audits.locate import preview
from forgetaudit.audits.locate.parts import NetworkPart, find_players
from forgetaudit.audits.locate.preview import (
    Block,
    GradientWalk,
    merge_shared_groups,
    points,
    preview_section,
)
from forgetaudit.data.batches import Batch
from forgetaudit.engine.gradients import Gradients
from forgetaudit.engine.variants import make_variant
from forgetaudit.models.layers import find_layers
from forgetaudit.report.locate import PreviewSection
from forgetaudit.report.parts import Absent, Estimate
from forgetaudit.tasks.scoring import class_loss
from forgetaudit.tasks.token_scores import token_loss


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6, eps=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.linear(x)).tanh()


class Net(nn.Module):
    """A stem, blocks with running statistics, a head, and a parameter that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.unread = nn.Parameter(torch.ones(3))
        self.stem = nn.Linear(5, 6)
        self.blocks = nn.ModuleList([Layer() for _ in range(3)])
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


State = Mapping[str, Tensor]


def drawn(state: State, spread: float, seed: int) -> dict[str, Tensor]:
    """The state with noise on its floats; variances stay positive."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, tensor in state.items():
        noise = spread * torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        if not tensor.is_floating_point():
            made[name] = tensor + 7
        elif "var" in name:
            made[name] = tensor.double() * noise.exp()
        else:
            made[name] = tensor.double() + noise
    return made


def of(skeleton: nn.Module, base: State, tuned: State) -> Any:
    first = make_variant("base", skeleton, base)
    variants = (first, make_variant("tuned", skeleton, tuned, like=first))
    return SimpleNamespace(skeleton=skeleton, variants=variants, layers=find_layers(skeleton))


def fresh() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return drawn(Net().state_dict(), 0.2, 0)


@pytest.fixture
def net() -> Any:
    return of(Net().double().eval(), fresh(), drawn(fresh(), 0.4, 1))


def batch(start: int = 0, n: int = 8) -> Batch:
    x = torch.randn(64, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))[start : start + n]
    return Batch(ids=tuple(f"e{k}" for k in range(start, start + n)), args=(x,), labels=torch.arange(n) % 4)


def asked(n: int) -> Any:
    return {"base": SimpleNamespace(correct=np.zeros(n, dtype=bool))}


def walked(
    network: Any, *batches: Batch, loss: Callable[[Any, Batch], Tensor] = class_loss
) -> tuple[GradientWalk, tuple[NetworkPart, ...]]:
    players = find_players(network, ())
    walk = GradientWalk(network, players, SimpleNamespace(task=SimpleNamespace(loss=loss)))  # type: ignore[arg-type]
    for one in batches:
        walk.take_in(asked(len(one)), one, {})
    return walk, players


def told(walk: GradientWalk, players: tuple[NetworkPart, ...], rise: float) -> PreviewSection:
    relative: dict[str, float | Absent] = dict.fromkeys((player.name for player in players), 0.1)
    return preview_section(walk, players, Estimate(kind="statistical", estimate=rise, method="x"), relative)


def test_the_points_and_weights_integrate_polynomials_exactly() -> None:
    for n in (3, 5):
        for power in range(2 * n):
            assert sum(w * at**power for at, w in points(n)) == pytest.approx(1 / (power + 1), abs=1e-14)


def test_every_share_is_that_of_a_slow_sum_of_finite_differences(
    net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "NODES", 24)
    walk, players = walked(net, batch())
    base, tuned = (dict(variant.tensors) for variant in net.variants)
    found = walk.blocks[0].shares
    assert [player.name for player in players] == [
        "stem", "blocks.0", "blocks.1", "blocks.2", "head", "running statistics", "rest",
    ]  # fmt: skip
    for at, player in enumerate(players):
        wanted = share(
            net.skeleton,
            base,
            tuned,
            set(player.slots),
            lambda model: class_loss(model(*batch().args), batch()),
            n=100,
        )
        assert found[at] == pytest.approx(wanted, abs=1e-5 * abs(found).sum()), player.name
    assert found[-1] == 0


def test_with_more_points_the_shares_add_up_to_the_rise(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    base, tuned = (dict(variant.tensors) for variant in net.variants)

    def loss(model: nn.Module) -> Tensor:
        return class_loss(model(*batch().args), batch())

    rise = loss_of(net.skeleton, tuned, loss) - loss_of(net.skeleton, base, loss)
    gaps = []
    for n in (3, 8, 24):
        monkeypatch.setattr(preview, "NODES", n)
        gaps.append(abs(walked(net, batch())[0].blocks[0].shares.sum() - rise))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-6 * abs(rise)


def test_the_gap_is_what_the_shares_miss_and_decides_whether_they_are_trusted(net: Any) -> None:
    walk, players = walked(net, batch())
    total = walk.blocks[0].shares.sum() / 8
    for rise, trusted in (
        (total, True),
        (total * 1.1, True),
        (total * 1.2, False),
        (-total, False),
        (0.0, False),
    ):
        found = told(walk, players, rise)
        assert found.gap == pytest.approx(rise - total)
        assert found.trusted is trusted
        fractions = [row.fraction for row in found.rows]
        if rise > 0:
            assert fractions[1] == pytest.approx(walk.blocks[0].shares[1] / 8 / rise)
        else:
            assert set(fractions) == {Absent(not_measured="the log loss did not rise")}


def test_a_part_that_nothing_reads_has_no_share_exactly(net: Any) -> None:
    found = told(*walked(net, *(batch(8 * k) for k in range(5))), 1.0)
    rest = found.rows[-1]
    assert (rest.name, rest.share) == ("rest", 0)
    assert isinstance(rest.interval, Estimate)
    assert (rest.interval.low, rest.interval.high, rest.interval.kind) == (0, 0, "diagnostic")


def test_one_part_that_moved_alone_has_all_of_the_rise() -> None:
    state = fresh()
    moved = drawn(state, 0.4, 1)
    tuned = {
        name: moved[name] if name.startswith("blocks.1.linear") else tensor for name, tensor in state.items()
    }
    skeleton = Net().double().eval()
    walk, players = walked(of(skeleton, state, tuned), batch())

    def loss(model: nn.Module) -> Tensor:
        return class_loss(model(*batch().args), batch())

    assert [player.name for player in players] == ["blocks.1"]
    rise = loss_of(skeleton, tuned, loss) - loss_of(skeleton, state, loss)
    assert walk.blocks[0].shares.tolist() == [pytest.approx(rise, rel=1e-3)]


def test_what_is_tied_is_counted_once_on_a_real_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = networks.gpt2(0).double().eval()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moved = drawn(state, 0.02, 1)
    moved["lm_head.weight"] = moved["transformer.wte.weight"]
    ids = torch.randint(0, 512, (2, 12), generator=torch.Generator().manual_seed(3))
    labels = ids.clone()
    labels[:, 0] = -100
    rows = Batch(ids=("a", "b"), kwargs={"input_ids": ids, "use_cache": False}, labels=labels)

    def loss(outputs: Any, held: Batch) -> Tensor:
        return token_loss(outputs, held, ahead=1)

    monkeypatch.setattr(preview, "NODES", 8)
    walk, players = walked(of(model, state, moved), rows, loss=loss)
    found = dict(zip((player.name for player in players), walk.blocks[0].shares, strict=True))
    for name in ("transformer.wte", "transformer.h.1"):
        slots = set(next(player for player in players if player.name == name).slots)
        wanted = share(model, state, moved, slots, lambda net: loss(net(**rows.kwargs), rows), n=40)
        assert found[name] == pytest.approx(wanted, rel=2e-3), name
    assert {"transformer.wte.weight", "lm_head.weight"} <= players[0].slots


def test_batches_that_share_a_group_are_one_draw_and_no_number_is_lost() -> None:
    def block(names: str, n: int) -> Block:
        return Block(names=frozenset(names), n=n, shares=np.array([float(n), 1.0]))

    found = merge_shared_groups(
        [block("ab", 1), block("c", 2), block("bd", 3), block("e", 4), block("dc", 5)]
    )
    assert [(sorted(one.names), one.n, one.shares.tolist()) for one in found] == [
        (["e"], 4, [4.0, 1.0]),
        (["a", "b", "c", "d"], 11, [11.0, 4.0]),
    ]


def test_intervals_are_students_t_over_batches_and_need_four(net: Any) -> None:
    from scipy.stats import t

    walk, players = walked(net, *(batch(8 * k) for k in range(6)))
    row = told(walk, players, 1.0).rows[1]
    means = np.array([block.shares[1] / 8 for block in walk.blocks])
    reach = t.ppf(0.975, 5) * means.std(ddof=1) / 6**0.5
    assert isinstance(row.interval, Estimate)
    assert row.share == pytest.approx(means.mean())
    assert (row.interval.low, row.interval.high) == pytest.approx(
        (means.mean() - reach, means.mean() + reach)
    )
    few = told(*walked(net, *(batch(8 * k) for k in range(3))), 1.0).rows[1]
    assert few.interval == Absent(
        not_measured="an interval needs 4 batches that share no group, and there are 3"
    )
    assert isinstance(few.share, float)


def test_a_batch_whose_gradients_do_not_fit_is_walked_in_halves(
    net: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, plain, sizes = walked(net, batch())[0].blocks[0].shares, Gradients.of, []

    def of_few(self: Gradients, variant: Any, held: Batch, loss: Any) -> Any:
        sizes.append(len(held))
        if len(held) > 2:
            raise MemoryError
        return plain(self, variant, held, loss)

    monkeypatch.setattr(Gradients, "of", of_few)
    assert walked(net, batch())[0].blocks[0].shares == pytest.approx(whole, rel=1e-9)
    assert sizes[0] == 8
    assert sizes.count(2) == 4 * preview.NODES


def test_a_gradient_that_is_not_finite_leaves_no_number(net: Any) -> None:
    def loss(outputs: Any, held: Batch) -> Tensor:
        return class_loss(outputs, held) * torch.inf

    found = told(*walked(net, batch(), loss=loss), 1.0)
    assert isinstance(found.gap, Absent)
    assert not found.trusted
    assert all(isinstance(row.share, Absent) for row in found.rows[:-1])

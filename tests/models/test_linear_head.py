"""The last linear map of a head is found; a head that ends otherwise is named."""

import pytest
import torch
from torch import nn

from forgetaudit.models.heads import find_linear_head
from forgetaudit.models.layers import find_layers
from forgetaudit.values import NotMeasured


class Scaled(nn.Linear):
    """More than a Linear."""


class Own(nn.Module):
    """Parameters of its own, and none in its children."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.act = nn.Parameter(torch.ones(3, 4)), nn.ReLU()


class Net(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Linear(2, 4)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2))
        self.head = head


@pytest.mark.parametrize(
    ("head", "path"),
    [
        (nn.Linear(4, 3), "head"),
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(), nn.Linear(4, 3)), "head.3"),
        (nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), nn.Dropout()), "head.1"),
    ],
)
def test_the_last_linear_is_the_head(head: nn.Module, path: str) -> None:
    model = Net(head)
    assert find_linear_head(model, find_layers(model)) == path


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), "the head ends in BatchNorm1d, not in a Linear"),
        (Scaled(4, 3), "the head ends in Scaled, not in a Linear"),
        (Own(), "the head ends in Own, not in a Linear"),
    ],
)
def test_a_head_that_ends_otherwise_is_named(head: nn.Module, said: str) -> None:
    model = Net(head)
    assert find_linear_head(model, find_layers(model)) == NotMeasured(said)


def test_a_network_without_a_head_has_none() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert isinstance(find_linear_head(model, find_layers(model)), NotMeasured)

"""Layers are found as a person would name them: blocks before leaves, stem and head recognised."""

from itertools import pairwise

import pytest
from torch import nn

from forgetaudit.errors import UsageError
from forgetaudit.models.layers import find_layers, select_layers


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3)])


class ResNetLike(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.layer1 = nn.Sequential(Block(), Block())
        self.layer2 = nn.Sequential(Block(), Block())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, 10)


class Encoder(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Block() for _ in range(depth))


class BertLike(nn.Module):
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.bert = nn.Module()
        self.bert.embeddings = nn.Sequential(nn.Embedding(9, 4), nn.LayerNorm(4))
        self.bert.encoder = Encoder(depth)
        self.bert.pooler = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.classifier = nn.Linear(4, 2)


class TwoTowers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = Encoder(2), Encoder(2)


def found(model: nn.Module, **options: int) -> dict[str, str]:
    return {layer.name: layer.stage.value for layer in find_layers(model, **options)}


def test_a_residual_network_opens_into_blocks_and_no_further() -> None:
    assert found(ResNetLike()) == {
        "conv1": "stem", "bn1": "stem", "layer1.0": "block", "layer1.1": "block", "layer2.0": "block",
        "layer2.1": "block", "fc": "head",
    }  # fmt: skip


def test_a_list_of_blocks_inside_wrappers_is_found() -> None:
    assert found(BertLike()) == {
        "bert.embeddings": "stem", "bert.encoder.layer.0": "block", "bert.encoder.layer.1": "block",
        "bert.encoder.layer.2": "block", "bert.pooler": "block", "classifier": "head",
    }  # fmt: skip


def test_a_plain_sequence_of_leaves_is_watched_leaf_by_leaf() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    assert found(model) == {"0": "stem", "2": "block", "4": "head"}


def test_a_network_without_a_head_has_none() -> None:
    assert set(found(TwoTowers()).values()) == {"block"}


def test_a_deep_network_is_thinned_evenly_and_keeps_its_ends() -> None:
    names = list(found(BertLike(96), most=30))
    assert len(names) == 30
    assert names[0] == "bert.embeddings"
    assert names[-1] == "classifier"
    blocks = [int(name.rpartition(".")[2]) for name in names if "layer" in name]
    gaps = {b - a for a, b in pairwise(blocks)}
    assert gaps <= {3, 4}


def test_the_transformer_of_torch_is_opened() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)
    model = nn.Sequential(nn.Linear(3, 8), encoder, nn.Linear(8, 2))
    assert found(model) == {"0": "stem", "1.layers.0": "block", "1.layers.1": "block", "2": "head"}


def test_one_leaf_is_no_head_of_anything() -> None:
    assert found(nn.Sequential(nn.Linear(2, 2))) == {"0": "block"}


def test_stages_of_blocks_are_opened_within_a_sequence_too() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Sequential(Block(), Block()), nn.Sequential(Block(), Block()), nn.Linear(4, 2)
    )
    assert list(found(model)) == ["0", "1.0", "1.1", "2.0", "2.1", "3"]


def test_patterns_choose_any_module_and_keep_its_stage() -> None:
    layers = {layer.name: layer.stage.value for layer in select_layers(ResNetLike(), ["layer1.*.bn", "fc"])}
    assert layers == {"layer1.0.bn": "block", "layer1.1.bn": "block", "fc": "head"}


def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="layers matches no layer") as refused:
        select_layers(ResNetLike(), ["layers"])
    assert "layer1" in str(refused.value.hint)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = ResNetLike()


def test_a_network_inside_a_wrapper_is_watched_as_if_it_stood_alone() -> None:
    assert list(found(Normalised())) == [f"net.{name}" for name in found(ResNetLike())]


class HeadFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.a, self.b = nn.Linear(4, 2), nn.Linear(3, 4), nn.Linear(4, 4)


def test_a_head_is_known_by_its_name_wherever_it_is_registered() -> None:
    assert found(HeadFirst()) == {"head": "head", "a": "stem", "b": "block"}


class Scaled(nn.Module):
    """As ConvNeXt ends: pooled features, their normalisation, and one map to the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(4), nn.Linear(4, 2)


class EndsInNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stages, self.head = nn.Conv2d(3, 4, 1), nn.Sequential(Block(), Block()), Scaled()


def test_a_normalisation_inside_the_head_belongs_to_the_features() -> None:
    assert found(EndsInNorm()) == {
        "stem": "stem", "stages.0": "block", "stages.1": "block", "head.norm": "block", "head.fc": "head",
    }  # fmt: skip


def test_a_head_of_several_maps_stays_whole() -> None:
    model = EndsInNorm()
    model.head = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    assert found(model)["head"] == "head"


class Distilled(HeadFirst):
    def __init__(self) -> None:
        super().__init__()
        self.head_dist = nn.Linear(4, 2)
        self.pretrained_cfg = {"classifier": ("head", "head_dist")}


def test_a_network_that_declares_two_heads_has_two() -> None:
    assert found(Distilled()) == {"head": "head", "a": "stem", "b": "block", "head_dist": "head"}


@pytest.mark.parametrize("declared", [None, "", "fc", ("gone", None), 7])
def test_a_declaration_of_what_is_not_there_changes_nothing(declared: object) -> None:
    model = HeadFirst()
    model.pretrained_cfg = {"classifier": declared}
    assert found(model) == found(HeadFirst())


def test_a_stage_of_one_block_is_no_stem() -> None:
    model = nn.Module()
    model.conv = nn.Conv2d(3, 4, 3)
    model.blocks = nn.Sequential(nn.Sequential(Block()), nn.Sequential(Block(), Block()))
    model.head = nn.Linear(4, 2)
    assert found(model) == {
        "conv": "stem", "blocks.0": "block", "blocks.1.0": "block", "blocks.1.1": "block", "head": "head",
    }  # fmt: skip

import math

import pytest
import torch
from safetensors.torch import save_file
from tests.reference import weights as reference
from torch import nn

from forgetaudit.checkpoints.align import align
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import UsageError
from forgetaudit.values import NotMeasured
from forgetaudit.weights.distance import measure_weights
from forgetaudit.weights.frozen import check_frozen, frozen_layers, moved_buffers, untouched
from forgetaudit.weights.groups import by_layer, by_stage, layer_of, total
from forgetaudit.weights.lineage import Lineage, measure_lineage
from forgetaudit.weights.resolution import resolution_note


def measure(folder, base, tuned):
    for name, state in {"base": base, "tuned": tuned}.items():
        save_file({key: value.clone() for key, value in state.items()}, folder / f"{name}.safetensors")
    with (
        open_checkpoint(folder / "base.safetensors") as one,
        open_checkpoint(folder / "tuned.safetensors") as two,
    ):
        return measure_weights(one, two, align(one, two))


def network(seed=0, width=32):
    torch.manual_seed(seed)
    net = nn.Sequential()
    net.stem = nn.Sequential(nn.Linear(16, width), nn.BatchNorm1d(width), nn.ReLU())
    net.body = nn.Sequential(
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width)
    )
    net.head = nn.Linear(width, 4)
    return net


def train(net, steps=60, rate=0.05, seed=1, frozen=()):
    torch.manual_seed(seed)
    for name in frozen:
        net.get_submodule(name).requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=rate, momentum=0.9)
    inputs, labels = torch.randn(256, 16), torch.randint(0, 4, (256,))
    for _ in range(steps):
        nn.functional.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    return net


def trained_pair(frozen=(), **options):
    net = train(network())
    base = {name: value.clone() for name, value in net.state_dict().items()}
    return base, train(net, seed=2, frozen=frozen, **options).state_dict()


def test_a_layer_is_the_root_of_the_sum_of_its_squares(tmp_path):
    base, tuned = trained_pair()
    groups = {
        group.name: group for group in by_layer(measure(tmp_path, base, tuned), ["stem", "body", "head"])
    }
    assert list(groups) == ["stem", "body", "head"]
    names = [name for name in base if name.startswith("body.") and name.endswith(("weight", "bias"))]
    one, two = (torch.cat([side[name].flatten() for name in names]) for side in (base, tuned))
    assert groups["body"].distance == pytest.approx(reference.distance(one, two), rel=1e-5)
    assert groups["body"].relative == pytest.approx(reference.relative(one, two), rel=1e-5)
    assert groups["body"].one_minus_cosine == pytest.approx(reference.one_minus_cosine(one, two), rel=1e-5)


def test_the_total_leaves_running_statistics_and_counters_out_and_keeps_them_apart(tmp_path):
    base, tuned = trained_pair()
    group = total(measure(tmp_path, base, tuned))
    parameters = [name for name in base if name.endswith(("weight", "bias"))]
    statistics = [name for name in base if "running" in name]
    for names, distance in ((parameters, group.distance), (statistics, group.statistics.distance)):
        one, two = (torch.cat([side[name].flatten() for name in names]) for side in (base, tuned))
        assert distance == pytest.approx(reference.distance(one, two), rel=1e-5)
    assert group.training_batches == 60


def test_counters_that_were_set_back_count_backwards(tmp_path):
    base, tuned = trained_pair()
    for name in base:
        if "num_batches" in name:
            tuned[name].zero_()
    assert total(measure(tmp_path, base, tuned)).training_batches == -60


def test_a_network_without_counters_has_no_count_of_batches(tmp_path):
    changes = measure(tmp_path, {"a.weight": torch.ones(4)}, {"a.weight": torch.ones(4)})
    assert total(changes).training_batches is None


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("body.0.weight", "body.0"),
        ("body.01.weight", "body"),
        ("body.3.weight", "body"),
        ("bodywork.weight", "bodywork"),
        ("head.dense.bias", "head.dense"),
        ("temperature", ""),
    ],
)
def test_a_tensor_belongs_to_the_longest_layer_above_it_else_to_its_own_module(name, layer):
    assert layer_of(name, ["body", "body.0", "stem"]) == layer


def test_what_lies_in_no_layer_stands_under_its_own_module_after_the_layers(tmp_path):
    base, tuned = trained_pair()
    names = [group.name for group in by_layer(measure(tmp_path, base, tuned), ["head", "stem", "pool"])]
    assert names == ["head", "stem", "body.1", "body.0", "body.3"]  # as the file has them


def test_names_of_the_file_are_translated_into_names_of_the_model(tmp_path):
    base, tuned = trained_pair()
    wrapped = [{f"module.{name}": value for name, value in side.items()} for side in (base, tuned)]
    changes = measure(tmp_path, *wrapped)
    names = {f"module.{name}": name for name in base}
    assert [group.name for group in by_layer(changes, ["stem", "body", "head"], names=names)] == [
        "stem",
        "body",
        "head",
    ]


def test_stages_gather_layers(tmp_path):
    base, tuned = trained_pair()
    changes = measure(tmp_path, base | {"scale": torch.ones(1)}, tuned | {"scale": torch.ones(1)})
    groups = by_stage(changes, {"stem": "stem", "body.0": "block", "body.3": "block", "head": "head"})
    assert [(group.name, len(group.tensors)) for group in groups] == [
        ("stem", 7),
        ("block", 4),
        ("head", 2),
        ("rest", 6),
    ]


def test_a_group_of_buffers_alone_has_no_distance(tmp_path):
    changes = measure(tmp_path, {"a.running_mean": torch.ones(3)}, {"a.running_mean": torch.ones(3)})
    assert total(changes).distance == NotMeasured("no floating parameter is in both files in one shape")


def test_what_was_not_measured_is_named(tmp_path):
    base, tuned = trained_pair()
    tuned["head.weight"], tuned["head.bias"] = torch.ones(9, 32), torch.ones(9)
    (head,) = [group for group in by_layer(measure(tmp_path, base, tuned), ["head"]) if group.name == "head"]
    assert sorted(row.name for row in head.not_measured) == ["head.bias", "head.weight"]
    assert isinstance(head.distance, NotMeasured)


def test_frozen_layers_are_those_where_no_byte_moved_buffers_included(tmp_path):
    base, tuned = trained_pair(frozen=["stem", "body"])
    groups = by_layer(
        measure(tmp_path, base, tuned), ["stem.0", "stem.1", "body.0", "body.1", "body.3", "head"]
    )
    assert frozen_layers(groups) == ("stem.0", "body.0", "body.3")
    assert [group.name for group in moved_buffers(groups)] == ["stem.1", "body.1"]


def test_buffers_that_moved_with_their_parameters_are_no_such_finding(tmp_path):
    base, tuned = trained_pair()
    groups = by_layer(measure(tmp_path, base, tuned), ["stem", "body", "head"])
    assert frozen_layers(groups) == ()
    assert moved_buffers(groups) == ()


def test_a_cast_of_everything_leaves_everything_frozen(tmp_path):
    base, _ = trained_pair()
    cast = {name: value.bfloat16() if value.is_floating_point() else value for name, value in base.items()}
    changes = measure(tmp_path, base, cast)
    assert untouched(changes)
    assert frozen_layers(by_layer(changes, ["stem", "body", "head"])) == ("stem", "body", "head")


def test_untouched_means_every_tensor(tmp_path):
    base, _ = trained_pair()
    assert untouched(measure(tmp_path, base, base))
    assert not untouched(measure(tmp_path, base, base | {"head.bias": base["head.bias"] + 1}))
    assert not untouched(measure(tmp_path, base, base | {"new.bias": torch.ones(3)}))


def test_patterns_declare_tensors_frozen_and_buffers_count(tmp_path):
    changes = measure(tmp_path, *trained_pair(frozen=["stem"]))
    found = check_frozen(changes, ["stem.*"])
    assert len(found.declared) == 7
    assert sorted(row.name for row in found.moved) == [
        "stem.1.num_batches_tracked",
        "stem.1.running_mean",
        "stem.1.running_var",
    ]
    assert check_frozen(changes, ["stem.0"]).moved == ()
    assert len(check_frozen(changes, ["stem.0", "stem.*", "*.bias"]).declared) == 7 + 4


def test_a_tensor_that_is_gone_is_not_frozen(tmp_path):
    base, _ = trained_pair()
    without = {name: value for name, value in base.items() if name != "head.bias"}
    assert [row.name for row in check_frozen(measure(tmp_path, base, without), ["head"]).moved] == [
        "head.bias"
    ]


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest_names(tmp_path):
    changes = measure(tmp_path, *trained_pair())
    with pytest.raises(UsageError) as refusal:
        check_frozen(changes, ["stem.*", "bodi.*"])
    assert refusal.value.fact == "the pattern 'bodi.*' matches none of 18 tensors"
    assert refusal.value.hint == "nearest: body, body.3, body.1"
    with pytest.raises(UsageError) as refusal:
        check_frozen(changes, ["zzzzzz"])
    assert refusal.value.hint == "name a tensor, a module, or a pattern such as 'stem.*'"


def test_a_fine_tune_is_of_one_lineage_with_its_base(tmp_path):
    found = measure_lineage(measure(tmp_path, *trained_pair(rate=0.01)))
    assert isinstance(found, Lineage)
    assert found.median_cosine > 0.9
    assert not found.looks_unrelated


@pytest.mark.parametrize(("rate", "steps"), [(0.1, 600), (0.3, 300)])
def test_a_hard_fine_tune_is_still_of_one_lineage(tmp_path, rate, steps):
    found = measure_lineage(measure(tmp_path, *trained_pair(rate=rate, steps=steps)))
    assert not found.looks_unrelated, found


@pytest.mark.parametrize(("kept", "looks_unrelated"), [(0.12, False), (0.0, True)])
def test_what_large_matrices_keep_of_their_direction_is_told_from_chance(tmp_path, kept, looks_unrelated):
    torch.manual_seed(0)
    base = {f"{i}.weight": torch.randn(200, 200) for i in range(3)}
    tuned = {name: kept * value + torch.randn(200, 200) for name, value in base.items()}
    assert measure_lineage(measure(tmp_path, base, tuned)).looks_unrelated is looks_unrelated


def test_a_replaced_head_does_not_hide_the_lineage(tmp_path):
    base, tuned = trained_pair()
    torch.manual_seed(5)
    found = measure_lineage(measure(tmp_path, base, tuned | {"head.weight": torch.randn(4, 32)}))
    assert not found.looks_unrelated


@pytest.mark.parametrize("seed", range(5))
def test_two_independent_starts_look_unrelated(tmp_path, seed):
    found = measure_lineage(measure(tmp_path, network(seed).state_dict(), network(seed + 100).state_dict()))
    assert found.looks_unrelated, found


def test_two_independent_trainings_look_unrelated(tmp_path):
    one, two = train(network(3)).state_dict(), train(network(4)).state_dict()
    assert measure_lineage(measure(tmp_path, one, two)).looks_unrelated


def test_random_weights_look_unrelated(tmp_path):
    base, _ = trained_pair()
    torch.manual_seed(9)
    noise = {
        name: torch.randn_like(value) if value.is_floating_point() else value for name, value in base.items()
    }
    assert measure_lineage(measure(tmp_path, base, noise)).looks_unrelated


def test_weights_without_a_direction_tell_nothing_of_lineage(tmp_path):
    base, _ = trained_pair()
    zeros = {name: torch.zeros_like(value) for name, value in base.items()}
    assert measure_lineage(measure(tmp_path, base, zeros)) == NotMeasured(
        "0 of 3 shared matrices of 256 or more elements have a direction, 2 are needed"
    )


def test_small_tensors_and_vectors_tell_nothing_of_lineage(tmp_path):
    small = {f"{i}.weight": torch.randn(4, 4) for i in range(9)} | {"v": torch.randn(5000)}
    assert isinstance(measure_lineage(measure(tmp_path, small, small)), NotMeasured)


def bfloat16_pair(move):
    generator = torch.Generator().manual_seed(0)
    base = (torch.randn(50_000, generator=generator) * 0.02).bfloat16()
    return {"a": base}, {
        "a": (base.float() + move * 0.02 * torch.randn(50_000, generator=generator)).bfloat16()
    }


def test_moves_that_bfloat16_cannot_show_are_said_to_be_so(tmp_path):
    changes = measure(tmp_path, *bfloat16_pair(1e-4))
    assert total(changes).relative < 0.5e-4  # of a true 1e-4: the reason for the note
    assert resolution_note(changes) == (
        "tuned is stored in bfloat16, which rounds away moves below 0.002 of a weight: the true distance may differ"
        " from the 3e-05 measured"
    )


def test_moves_that_are_large_enough_or_stored_wide_need_no_note(tmp_path):
    changes = measure(tmp_path, *bfloat16_pair(1e-2))
    assert total(changes).relative == pytest.approx(1e-2, rel=0.05)
    assert resolution_note(changes) is None
    wide = [{"a": side["a"].float()} for side in bfloat16_pair(1e-4)]
    assert resolution_note(measure(tmp_path, *wide)) is None
    assert (
        resolution_note(measure(tmp_path, {"a": torch.zeros(3)}, {"a": torch.full((3,), math.inf)})) is None
    )

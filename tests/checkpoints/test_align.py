import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from forgetaudit.checkpoints.align import align, align_names
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError

NET = {
    f"layers.{i}.{name}": shape
    for i in range(3)
    for name, shape in {
        "attn.weight": (8, 8),
        "attn.bias": (8,),
        "norm.weight": (8,),
        "mlp.weight": (16, 8),
    }.items()
} | {"embed.weight": (50, 8), "head.weight": (5, 8), "head.bias": (5,)}


def renamed(change, net=NET):
    return {change(name): shape for name, shape in net.items()}


def same_pairs(change, net=NET):
    return tuple((name, change(name)) for name in net)


def test_equal_names_need_no_step():
    found = align_names(NET, dict(reversed(NET.items())))
    assert found.pairs == same_pairs(str)
    assert (found.reshaped, found.only_left, found.only_right, found.steps) == ((), (), (), ())


@pytest.mark.parametrize(
    "wrapper",
    [
        "module",
        "_orig_mod",
        "module._orig_mod",
        "_orig_mod.module",
        "base_model.model",
        "model",
        "_forward_module",
    ],
)
def test_wrappers_are_removed_and_said_whichever_side_has_them(wrapper):
    def wrap(name):
        return f"{wrapper}.{name}"

    assert align_names(NET, renamed(wrap)).pairs == same_pairs(wrap)
    assert align_names(NET, renamed(wrap)).steps == (f"removed `{wrapper}.` from 15 names of tuned",)
    assert align_names(renamed(wrap), NET).steps == (f"removed `{wrapper}.` from 15 names of base",)


def test_wrappers_in_the_middle_of_names_are_removed():
    def wrap(name):
        return name.replace("attn.", "attn._checkpoint_wrapped_module.").replace("mlp.", "mlp.base_layer.")

    found = align_names(NET, renamed(wrap))
    assert found.pairs == same_pairs(wrap)
    assert found.steps == (
        "removed `_checkpoint_wrapped_module.` from 6 names of tuned",
        "removed `base_layer.` from 3 names of tuned",
    )


def test_different_wrappers_on_both_sides_are_removed_from_both():
    found = align_names(renamed(lambda name: "module." + name), renamed(lambda name: "_orig_mod." + name))
    assert len(found.pairs) == len(NET)
    assert found.steps == (
        "removed `module.` from 15 names of base",
        "removed `_orig_mod.` from 15 names of tuned",
    )


def test_a_prefix_of_ones_own_is_found_in_the_data():
    found = align_names(NET, renamed(lambda name: "encoder." + name), sides=("checkpoint", "model"))
    assert found.pairs == same_pairs(lambda name: "encoder." + name)
    assert found.steps == ("removed `encoder.` from 15 names of model",)


def test_two_renamed_towers_are_matched_in_two_rounds():
    left = renamed(lambda name: "text." + name) | renamed(
        lambda name: "image." + name, {k: (*s, 2) for k, s in NET.items()}
    )
    right = {name.replace("text.", "a.b.").replace("image.", "c."): shape for name, shape in left.items()}
    found = align_names(left, right)
    assert len(found.pairs) == 30
    assert all(two == one.replace("text.", "a.b.").replace("image.", "c.") for one, two in found.pairs)
    assert set(found.steps) == {
        "read `text.` of base as `a.b.` of tuned in 15 names",
        "read `image.` of base as `c.` of tuned in 15 names",
    }


def test_the_old_spelling_of_layer_norm_is_read():
    found = align_names(
        {"a.LayerNorm.gamma": (4,), "b.weight": (4, 4)}, {"a.LayerNorm.weight": (4,), "b.weight": (4, 4)}
    )
    assert ("a.LayerNorm.gamma", "a.LayerNorm.weight") in found.pairs
    assert found.steps == ("read the old spelling `gamma` in 1 name of base",)


def test_a_replaced_head_stays_apart_even_where_its_shapes_agree():
    body = {name: shape for name, shape in NET.items() if not name.startswith("head")}
    found = align_names(NET, body | {"classifier.weight": (5, 8), "classifier.bias": (5,)})
    assert found.only_left == ("head.weight", "head.bias")
    assert found.only_right == ("classifier.weight", "classifier.bias")
    assert "only 2 tensors do so" in found.steps[-1]


def test_a_head_of_another_width_is_reshaped_also_behind_a_prefix():
    tuned = renamed(lambda name: "net.bert." + name) | {
        "net.bert.head.weight": (7, 8),
        "net.bert.head.bias": (7,),
    }
    found = align_names(NET, tuned)
    assert found.reshaped == (("head.weight", "net.bert.head.weight"), ("head.bias", "net.bert.head.bias"))
    assert len(found.pairs) == 13


def test_one_layer_is_never_read_as_another():
    left = {name: shape for name, shape in NET.items() if not name.startswith("layers.2")}
    right = {name: shape for name, shape in NET.items() if not name.startswith("layers.1")}
    found = align_names(left, right)
    assert all(one == two for one, two in found.pairs)
    assert all(name.startswith("layers.1") for name in found.only_left)
    assert all(name.startswith("layers.2") for name in found.only_right)


def test_of_two_equally_good_readings_neither_is_taken():
    two = renamed(lambda name: "student." + name) | renamed(lambda name: "teacher." + name)
    found = align_names(NET, two)
    assert found.pairs == ()
    assert "another choice of prefixes in as many" in found.steps[-1]


def test_names_that_would_become_equal_are_left_as_they_are():
    right = {"model.a.weight": (2, 2), "net.a.weight": (2, 2), "b.weight": (3, 3)}
    found = align_names({"a.weight": (2, 2), "b.weight": (3, 3)}, right)
    assert found.pairs == (("b.weight", "b.weight"),)
    assert found.only_right == ("model.a.weight", "net.a.weight")
    assert "left 2 names of tuned as they are" in found.steps[0]


def test_a_wrapped_copy_beside_the_plain_one_does_not_take_its_place():
    found = align_names(NET, NET | renamed(lambda name: "model." + name))
    assert found.pairs == same_pairs(str)
    assert len(found.only_right) == len(NET)
    assert found.steps == ()


def test_a_tied_copy_that_one_file_leaves_out_confuses_nothing():
    tied = NET | {"lm_head.weight": (50, 8)}
    found = align_names(NET, renamed(lambda name: "module." + name, tied))
    assert found.pairs == same_pairs(lambda name: "module." + name)
    assert found.only_right == ("module.lm_head.weight",)
    assert align_names(tied, NET).only_left == ("lm_head.weight",)


def test_unrelated_networks_share_nothing():
    other = {f"stage{i}.conv{j}.kernel": (3, 3, 4 + i, 4 + j) for i in range(4) for j in range(3)}
    assert align_names(NET, other).pairs == ()


def test_a_single_linear_layer_is_matched_inside_its_wrapper():
    assert (
        len(align_names({"weight": (2, 2), "bias": (2,)}, {"fc.weight": (2, 2), "fc.bias": (2,)}).pairs) == 2
    )
    assert len(align_names({"weight": (2, 2)}, {"module.weight": (2, 2)}).pairs) == 1


SEGMENTS = st.sampled_from(["module", "model", "a", "b", "0", "1", "weight"])
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join)
SIDES = st.dictionaries(NAMES, st.sampled_from([(2,), (2, 2), ()]), max_size=12)


# Drawing is slow on a busy machine, which says nothing of the names.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PATIENT
@given(SIDES, SIDES)
def test_every_name_stands_in_exactly_one_place_and_pairs_agree_in_shape(left, right):
    found = align_names(left, right)
    both = [*found.pairs, *found.reshaped]
    assert sorted([one for one, _ in both] + list(found.only_left)) == sorted(left)
    assert sorted([two for _, two in both] + list(found.only_right)) == sorted(right)
    assert all(left[one] == right[two] for one, two in found.pairs)
    assert all(left[one] != right[two] for one, two in found.reshaped)
    assert {(name, name) for name in left if right.get(name) == left[name]} <= set(found.pairs)


@PATIENT
@given(SIDES, SIDES, st.randoms())
def test_the_order_of_names_changes_no_pair(left, right, random):
    shuffled = list(left.items())
    random.shuffle(shuffled)
    one, two = align_names(left, right), align_names(dict(shuffled), dict(reversed(right.items())))
    assert set(one.pairs) == set(two.pairs)


def opened(folder, name, shapes):
    save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, folder / name)
    return open_checkpoint(folder / name)


def resnet(depths, width=8):
    parts = {f"conv{i}.weight": (width, width, 3, 3) for i in (1, 2)} | {
        f"bn{i}.{leaf}": (width,)
        for i in (1, 2)
        for leaf in ("weight", "bias", "running_mean", "running_var")
    }
    net = {
        f"layer{i + 1}.{j}.{name}": shape
        for i, n in enumerate(depths)
        for j in range(n)
        for name, shape in parts.items()
    }
    return net | {"fc.weight": (10, width), "fc.bias": (10,)}


def mismatch(tmp_path, base, tuned):
    with (
        opened(tmp_path, "base", base) as one,
        opened(tmp_path, "tuned", tuned) as two,
        pytest.raises(MismatchError) as caught,
    ):
        align(one, two)
    assert caught.value.fact == "base and tuned are not versions of one network"
    return caught.value


def test_a_deeper_network_of_the_same_family_is_no_version(tmp_path):
    refusal = mismatch(tmp_path, resnet([2, 2]), resnet([3, 4]))
    assert refusal.details == ("only in tuned (30): layer1.2.bn1.bias, layer1.2.bn1.running_mean, … 28 more",)
    assert refusal.hint == "pass the checkpoint you started from as BASE"


def test_networks_with_nothing_in_common_are_no_versions(tmp_path):
    refusal = mismatch(tmp_path, NET, resnet([1]))
    assert [line.split(":")[0] for line in refusal.details] == ["only in base (15)", "only in tuned (12)"]


def test_a_wider_network_is_no_version(tmp_path):
    refusal = mismatch(tmp_path, resnet([2, 2]), resnet([2, 2], width=16))
    assert refusal.details[0].startswith("in both with other shapes (41): ")


def test_an_adapter_alone_is_no_version_and_the_hint_says_how_to_merge(tmp_path):
    adapter = {f"base_model.model.layers.{i}.attn.lora_{x}.weight": (2, 8) for i in range(3) for x in "AB"}
    assert "merge it into base first" in mismatch(tmp_path, NET, adapter).hint


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net | {"head.weight": (9, 8), "head.bias": (9,)},
        lambda net: (
            {name: shape for name, shape in net.items() if "head" not in name} | {"new.weight": (3, 8)}
        ),
        lambda net: net | {f"layers.{i}.attn.lora_{x}.weight": (2, 8) for i in range(3) for x in "AB"},
        lambda net: net | {f"decoder.{i}.weight": (64, 64) for i in range(20)},
        lambda net: {name: shape for name, shape in net.items() if "embed" not in name},
        lambda net: net | {"embed.weight": (54, 8)},
    ],
    ids=[
        "head of another width",
        "another head",
        "adapter inside",
        "decoder on top",
        "without embedding",
        "new words",
    ],
)
def test_versions_of_one_network_pass(tmp_path, change):
    with opened(tmp_path, "base", NET) as base, opened(tmp_path, "tuned", change(NET)) as tuned:
        assert len(align(base, tuned).pairs) >= 13


def test_further_heads_for_further_tasks_are_no_deeper_network(tmp_path):
    def heads(count):
        return {f"heads.{i}.{leaf}": (5,) for i in range(count) for leaf in ("weight", "bias")}

    with (
        opened(tmp_path, "base", NET | heads(5)) as base,
        opened(tmp_path, "tuned", NET | heads(10)) as tuned,
    ):
        assert len(align(base, tuned).only_right) == 10

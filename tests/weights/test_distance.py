import contextlib
import math
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.reference import weights as reference

from forgetaudit.checkpoints.align import align, align_names
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.values import NotMeasured
from forgetaudit.weights.changes import Change, Role
from forgetaudit.weights.distance import measure_weights
from forgetaudit.weights.groups import total
from forgetaudit.weights.pair_sums import CHUNK_ELEMENTS


def measure(folder, base, tuned, **options):
    save_file(base, folder / "base.safetensors")
    save_file(tuned, folder / "tuned.safetensors")
    with (
        open_checkpoint(folder / "base.safetensors") as one,
        open_checkpoint(folder / "tuned.safetensors") as two,
    ):
        names = align_names(
            *({name: info.shape for name, info in side.tensors.items()} for side in (one, two))
        )
        return measure_weights(one, two, names, **options)


def change_of(folder, base, tuned):
    (row,) = measure(folder, {"a": base}, {"a": tuned}).tensors
    return row


def pair(size=3000, move=2e-3, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(size, generator=generator, dtype=torch.float64) * 0.02
    return base.to(dtype), (
        base + move * 0.02 * torch.randn(size, generator=generator, dtype=torch.float64)
    ).to(dtype)


def agrees(sums, base, tuned, tolerance=1e-5):
    assert sums.distance == pytest.approx(reference.distance(base, tuned), rel=tolerance)
    assert sums.relative == pytest.approx(reference.relative(base, tuned), rel=tolerance)
    assert sums.max_abs == pytest.approx(reference.max_abs(base, tuned), rel=1e-6)
    assert sums.one_minus_cosine == pytest.approx(reference.one_minus_cosine(base, tuned), rel=tolerance)


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"]
)
def test_distances_agree_with_the_reference_in_every_floating_type(tmp_path, dtype):
    base, tuned = (50 * side for side in pair(size=CHUNK_ELEMENTS + 77, move=0.3, dtype=torch.float64))
    base, tuned = base.to(getattr(torch, dtype)), tuned.to(getattr(torch, dtype))
    row = change_of(tmp_path, base, tuned)
    assert (row.change, row.role) == (Change.CHANGED, Role.PARAMETER)
    agrees(row.sums, base, tuned)
    n_changed = int((base.view(torch.uint8) != tuned.view(torch.uint8)).reshape(len(base), -1).any(1).sum())
    assert row.sums.n_changed == n_changed
    assert row.sums.changed_share == n_changed / len(base)


@pytest.mark.parametrize("move", [1e-6, 1e-4, 1e-2, 1.0, 100.0])
def test_small_and_large_moves_keep_their_digits(tmp_path, move):
    base, tuned = pair(size=20_000, move=move)
    agrees(change_of(tmp_path, base, tuned).sums, base, tuned)


def test_one_minus_cosine_keeps_its_digits_where_the_textbook_formula_has_none(tmp_path):
    base, tuned = pair(size=100_000, move=1e-6, dtype=torch.float64)
    true = reference.one_minus_cosine(base, tuned)
    assert change_of(tmp_path, base, tuned).sums.one_minus_cosine == pytest.approx(true, rel=1e-5)
    textbook = 1 - float(torch.nn.functional.cosine_similarity(base.float(), tuned.float(), dim=0))
    assert abs(textbook - true) > 0.9 * true


def test_a_tensor_of_millions_is_as_exact_as_a_small_one_and_float32_norms_are_not(tmp_path):
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(12_000_000, generator=generator) * 0.02
    tuned = base + 4e-5 * torch.randn(12_000_000, generator=generator)
    sums = change_of(tmp_path, base, tuned).sums
    delta = tuned.double() - base.double()
    assert sums.distance == pytest.approx(float(delta.norm()), rel=1e-6)
    assert sums.relative == pytest.approx(float(delta.norm() / base.double().norm()), rel=1e-6)
    cosine = torch.dot(base.double() / base.double().norm(), tuned.double() / tuned.double().norm())
    assert sums.one_minus_cosine == pytest.approx(1 - float(cosine), rel=1e-5)


def test_scaling_alone_changes_no_direction(tmp_path):
    base, _ = pair(size=50_000)
    sums = change_of(tmp_path, base, base * 0.5).sums
    assert sums.relative == pytest.approx(0.5)
    assert 0 <= sums.one_minus_cosine < 1e-6


def test_opposite_directions_are_two_apart(tmp_path):
    base, _ = pair()
    sums = change_of(tmp_path, base, -base).sums
    assert sums.one_minus_cosine == pytest.approx(2)
    assert sums.cosine == pytest.approx(-1)


@pytest.mark.parametrize("share", [1e-3, 1e-6])
def test_a_tensor_that_nearly_vanishes_keeps_its_direction(tmp_path, share):
    base, other = pair(size=10_000, move=1.0)
    tuned = other * share
    sums = change_of(tmp_path, base, tuned).sums
    assert sums.one_minus_cosine == pytest.approx(reference.one_minus_cosine(base, tuned), rel=1e-5)
    assert math.sqrt(sums.tuned_square) == pytest.approx(
        reference.norm(reference.in_float64(tuned)), rel=1e-5
    )


def test_values_near_the_end_of_float32_neither_overflow_nor_vanish(tmp_path):
    for scale in (3e38, 1e-30, 1e-42):
        base = torch.tensor([scale, -scale, scale / 2] * 10)
        tuned = torch.tensor([scale, -scale, -scale] * 10)
        agrees(change_of(tmp_path, base, tuned).sums, base, tuned)


def test_a_difference_that_overflows_float32_is_still_a_number(tmp_path):
    base, tuned = torch.full((9,), 3e38), torch.full((9,), -3e38)
    assert change_of(tmp_path, base, tuned).sums.max_abs == pytest.approx(6e38)


def test_squares_beyond_float64_are_said_and_not_printed(tmp_path):
    sums = change_of(
        tmp_path, torch.full((9,), 1e200, dtype=torch.float64), torch.zeros(9, dtype=torch.float64)
    ).sums
    assert sums.distance == NotMeasured("the squares of the values are too large for float64")


def test_bit_identical_tensors_are_exactly_zero_apart(tmp_path):
    base, _ = pair(size=CHUNK_ELEMENTS * 2 + 1)
    row = change_of(tmp_path, base, base.clone())
    assert row.change is Change.IDENTICAL
    assert row.is_unchanged
    assert (row.sums.distance, row.sums.relative, row.sums.one_minus_cosine, row.sums.max_abs) == (0, 0, 0, 0)


def test_negative_zero_is_a_change_of_bytes_and_no_distance(tmp_path):
    row = change_of(tmp_path, torch.tensor([0.0, 1.0]), torch.tensor([-0.0, 1.0]))
    assert (row.change, row.sums.n_changed, row.sums.distance) == (Change.CHANGED, 1, 0.0)


def test_equal_nans_and_infinities_are_identical_and_counted(tmp_path):
    mask = torch.tensor([math.nan, math.inf, -math.inf, 3.0])
    row = change_of(tmp_path, mask, mask.clone())
    assert row.change is Change.IDENTICAL
    assert (row.sums.n_nonfinite_base, row.sums.n_nonfinite_tuned, row.sums.n_undefined) == (3, 3, 0)
    assert row.sums.distance == 0.0


def test_a_nan_that_training_left_behind_makes_the_distance_unknown_and_says_so(tmp_path):
    base, tuned = pair()
    tuned[7], tuned[8] = math.nan, math.inf
    sums = change_of(tmp_path, base, tuned).sums
    message = "2 changed elements are not finite (0 non-finite in base, 2 in tuned)"
    assert sums.distance == sums.relative == sums.one_minus_cosine == sums.max_abs == NotMeasured(message)


def test_one_nan_among_many_tensors_makes_the_total_unknown(tmp_path):
    base, tuned = pair()
    changes = measure(
        tmp_path, {"a": base, "b": torch.ones(2)}, {"a": tuned, "b": torch.tensor([1.0, math.nan])}
    )
    assert total(changes).distance == NotMeasured(
        "1 changed element is not finite (0 non-finite in base, 1 in tuned)"
    )


def test_a_base_of_zeros_has_a_distance_and_no_relative_one(tmp_path):
    sums = change_of(tmp_path, torch.zeros(100), torch.ones(100)).sums
    assert sums.distance == pytest.approx(10)
    assert sums.relative == sums.one_minus_cosine == NotMeasured("base is zero in every element")


def test_weights_set_to_zero_have_a_distance_of_one_and_no_direction(tmp_path):
    sums = change_of(tmp_path, pair()[0], torch.zeros(3000)).sums
    assert sums.relative == 1.0
    assert sums.one_minus_cosine == NotMeasured("tuned is zero in every element")


def test_scalars_and_empty_tensors_are_measured_too(tmp_path):
    assert change_of(tmp_path, torch.tensor(2.0), torch.tensor(3.0)).sums.relative == 0.5
    empty = change_of(tmp_path, torch.zeros(0, 4), torch.zeros(0, 4))
    assert empty.change is Change.IDENTICAL
    assert empty.sums.changed_share == NotMeasured("there are no elements")


CASTS = [
    ("float32", "bfloat16"),
    ("float32", "float16"),
    ("float64", "float32"),
    ("float64", "bfloat16"),
    ("bfloat16", "float32"),
    ("float16", "float32"),
    ("float16", "bfloat16"),
    ("bfloat16", "float16"),
    ("float32", "float8_e4m3fn"),
    ("bfloat16", "float8_e5m2"),
    ("float8_e5m2", "float32"),
    ("float32", "float8_e4m3fnuz"),
    ("int64", "int32"),
]


@pytest.mark.parametrize(
    ("base_dtype", "tuned_dtype"), [case for case in CASTS if case[1] != "float8_e4m3fnuz"]
)
def test_a_cast_alone_is_known_as_a_cast(tmp_path, base_dtype, tuned_dtype):
    values = torch.cat([pair(size=5000)[0] * 50, torch.tensor([0.0, -0.0, 1.0, 440.0])])
    base = values.to(getattr(torch, base_dtype))
    row = change_of(tmp_path, base, base.to(getattr(torch, tuned_dtype)))
    assert (row.change, row.sums.n_changed, row.is_unchanged) == (Change.CAST, 0, True)


@pytest.mark.parametrize(("base_dtype", "tuned_dtype"), CASTS)
def test_one_changed_element_beside_a_cast_is_a_change(tmp_path, base_dtype, tuned_dtype):
    base = (pair(size=5000)[0] * 50).to(getattr(torch, base_dtype))
    tuned = base.to(getattr(torch, tuned_dtype))
    tuned[4321] = tuned[4321].float() * 2 + 2
    row = change_of(tmp_path, base, tuned)
    assert row.change is Change.CHANGED
    assert row.sums.n_changed >= 1


def test_a_cast_with_nan_and_infinity_is_still_a_cast(tmp_path):
    base = torch.tensor([math.nan, math.inf, -math.inf, 1e38, 70000.0])
    for dtype in (torch.bfloat16, torch.float16):
        assert change_of(tmp_path, base, base.to(dtype)).change is Change.CAST


def test_the_distance_of_a_cast_is_its_rounding(tmp_path):
    base, _ = pair(size=10_000)
    sums = change_of(tmp_path, base, base.bfloat16()).sums
    agrees(sums, base, base.bfloat16())
    assert 1e-3 < sums.relative < 2e-3


def test_a_renamed_tensor_is_renamed_only_where_its_bytes_are_equal(tmp_path):
    base, tuned = pair()
    sides = (
        {"a": base, "b": base.clone(), "c": base.clone()},
        {"module.a": base, "module.b": tuned, "module.c": base.bfloat16()},
    )
    rows = measure(tmp_path, *sides).tensors
    assert [row.change for row in rows] == [Change.RENAMED, Change.CHANGED, Change.CAST]
    assert [row.tuned.name for row in rows] == ["module.a", "module.b", "module.c"]


def test_tensors_that_cannot_be_compared_are_named_with_the_reason(tmp_path):
    base = {
        "gone": torch.ones(2),
        "wider": torch.ones(2),
        "packed": torch.ones(4),
        "turned": torch.ones(2) * 1j,
    }
    tuned = {
        "new": torch.ones(3),
        "wider": torch.ones(3),
        "packed": torch.ones(4, dtype=torch.int8),
        "turned": -1j * torch.ones(2),
    }
    found = {row.name: (str(row.change), row.reason) for row in measure(tmp_path, base, tuned).tensors}
    assert found == {
        "gone": ("only-base", "tuned has no such tensor"),
        "wider": ("reshaped", "the shapes differ"),
        "packed": ("not-comparable", "float32 in base stands for something else than int8 in tuned"),
        "turned": ("changed", None),
        "new": ("only-tuned", "base has no such tensor"),
    }


def test_complex_tensors_with_equal_bytes_are_identical(tmp_path):
    turn = torch.randn(70_000, dtype=torch.complex64)
    row = change_of(tmp_path, turn, turn.clone())
    assert (row.change, row.is_unchanged, row.sums.distance) == (Change.IDENTICAL, True, 0.0)


def test_eight_bit_weights_with_scales_beside_them_are_not_subtracted(tmp_path):
    base, tuned = (side.to(torch.float8_e4m3fn) for side in pair(move=1.0))
    scale = {"a.weight_scale_inv": torch.ones(1)}
    rows = {
        row.name: row
        for row in measure(tmp_path, {"a.weight": base} | scale, {"a.weight": tuned} | scale).tensors
    }
    assert rows["a.weight"].change is Change.NOT_COMPARABLE
    assert "scales of their own" in rows["a.weight"].reason
    assert rows["a.weight_scale_inv"].change is Change.IDENTICAL


@pytest.mark.parametrize(
    ("name", "dtype", "role"),
    [
        ("bn.running_mean", torch.float32, Role.STATISTIC),
        ("running_var", torch.float32, Role.STATISTIC),
        ("bn.num_batches_tracked", torch.int64, Role.COUNTER),
        ("bn.num_batches_tracked", torch.float32, Role.COUNTER),
        ("embeddings.position_ids", torch.int64, Role.COUNTER),
        ("mask", torch.bool, Role.COUNTER),
        ("running_mean.weight", torch.float32, Role.PARAMETER),
        ("layer.weight", torch.float32, Role.PARAMETER),
    ],
)
def test_the_role_of_a_tensor_is_told_by_name_and_dtype(tmp_path, name, dtype, role):
    tensor = torch.ones(2, dtype=dtype)
    (row,) = measure(tmp_path, {name: tensor}, {name: tensor.clone()}).tensors
    assert row.role is role


def test_large_integers_are_compared_by_their_bytes(tmp_path):
    row = change_of(tmp_path, torch.tensor([2**60, 5]), torch.tensor([2**60 + 1, 5]))
    assert (row.change, row.sums.n_changed) == (Change.CHANGED, 1)


def test_a_torch_file_and_a_safetensors_file_measure_the_same(tmp_path):
    base, tuned = pair(size=CHUNK_ELEMENTS + 5)
    expected = change_of(tmp_path, base, tuned)
    torch.save({"a": base}, tmp_path / "base.pt")
    torch.save({"state_dict": {"a": tuned}}, tmp_path / "tuned.pt")
    with open_checkpoint(tmp_path / "base.pt") as one, open_checkpoint(tmp_path / "tuned.pt") as two:
        assert measure_weights(one, two, align(one, two)).tensors == (expected,)


def test_progress_counts_every_byte_of_the_shared_tensors_once(tmp_path):
    class Counted:
        done = 0

        @contextlib.contextmanager
        def phase(self, title, total, unit):
            assert (title, unit) == ("weights", "bytes")
            self.total = total
            yield self.advance

        def advance(self, n_bytes):
            self.done += n_bytes

        def note(self, text):
            raise AssertionError(text)

    progress = Counted()
    base = {
        "a": torch.ones(CHUNK_ELEMENTS + 1),
        "b": torch.ones(5),
        "z": torch.ones(3) * 1j,
        "gone": torch.ones(9),
    }
    tuned = {"a": torch.ones(CHUNK_ELEMENTS + 1).bfloat16(), "b": torch.zeros(5), "z": torch.zeros(3) * 1j}
    measure(tmp_path, base, tuned, progress=progress)
    assert progress.done == progress.total == (CHUNK_ELEMENTS + 1) * 6 + 40 + 48


def test_rows_come_in_base_order_and_then_what_only_tuned_has(tmp_path):
    base, tuned = (
        {"c": torch.ones(2), "a": torch.ones(2)},
        {"a": torch.ones(2), "c": torch.ones(2), "b": torch.ones(2)},
    )
    rows = measure(tmp_path, base, tuned).tensors
    with open_checkpoint(tmp_path / "base.safetensors") as checkpoint:
        assert [row.name for row in rows] == [*checkpoint.tensors, "b"]


def test_memory_does_not_grow_with_the_file(tmp_path):
    base, tuned = pair(size=3_000_000)
    save_file({"a": base}, tmp_path / "base.safetensors")
    save_file({"a": tuned}, tmp_path / "tuned.safetensors")
    with (
        open_checkpoint(tmp_path / "base.safetensors") as one,
        open_checkpoint(tmp_path / "tuned.safetensors") as two,
    ):
        names = align(one, two)
        tracemalloc.start()
        measure_weights(one, two, names)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 5_000_000 < 2 * base.numel() * 4


MEASURE = """
import sys
from pathlib import Path
from forgetaudit.checkpoints.align import align
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.weights import frozen, groups, lineage, resolution
from forgetaudit.weights.distance import measure_weights
with open_checkpoint(Path(sys.argv[1])) as base, open_checkpoint(Path(sys.argv[2])) as tuned:
    groups.total(measure_weights(base, tuned, align(base, tuned)))
print("torch" in sys.modules, "safetensors" in sys.modules, "datasets" in sys.modules)
"""


@pytest.mark.parametrize(
    ("ending", "printed"), [(".safetensors", "False False False"), (".pt", "True False False")]
)
def test_measuring_safetensors_imports_no_torch_and_the_check_can_fail(tmp_path, ending, printed):
    tensors = {"a": torch.ones(3)}
    for side in ("base", "tuned"):
        save_file(tensors, tmp_path / f"{side}.safetensors")
        torch.save(tensors, tmp_path / f"{side}.pt")
    command = [
        sys.executable,
        "-c",
        MEASURE,
        *(str(tmp_path / f"{side}{ending}") for side in ("base", "tuned")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == printed.split()


SUMS = """
import sys
from pathlib import Path
from forgetaudit.checkpoints.align import align
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.weights.distance import measure_weights
with open_checkpoint(Path(sys.argv[1])) as base, open_checkpoint(Path(sys.argv[2])) as tuned:
    print([row.sums for row in measure_weights(base, tuned, align(base, tuned)).tensors])
"""


def test_the_number_of_cores_changes_no_digit(tmp_path):
    base, tuned = pair(size=3 * CHUNK_ELEMENTS + 20_001)
    for side, tensor in {"base": base, "tuned": tuned}.items():
        save_file({"a": tensor, "b": tensor.double()}, tmp_path / f"{side}.safetensors")
    command = [
        sys.executable,
        "-c",
        SUMS,
        *(str(tmp_path / f"{side}.safetensors") for side in ("base", "tuned")),
    ]
    printed = {
        subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": str(n_threads)},
        ).stdout
        for n_threads in (1, 2, 3)
    }
    assert len(printed) == 1


def test_the_reference_itself_is_right_on_numbers_one_can_check():
    base, tuned = torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])
    assert reference.distance(base, tuned) == pytest.approx(math.sqrt(2))
    assert reference.relative(base, tuned) == pytest.approx(math.sqrt(2) / 5)
    assert reference.max_abs(base, tuned) == 1.0
    assert reference.one_minus_cosine(base, tuned) == pytest.approx(1 - 24 / 25)
    assert np.float64(reference.norm([3.0, 4.0])) == 5.0


@pytest.mark.parametrize("n", [1, 2, 7, 65_537, 131_072, 131_073, 2**20 + 5])
def test_bfloat16_is_exact_for_odd_and_even_numbers_of_elements(tmp_path, n):
    torch.manual_seed(0)
    base = torch.randn(n).bfloat16()
    tuned = (base.float() + 0.05 * torch.randn(n)).bfloat16()
    row = change_of(tmp_path, base, tuned)
    delta = tuned.double() - base.double()
    assert row.sums.distance == pytest.approx(float(delta.norm()), rel=1e-6)
    assert row.sums.n_changed == int((base != tuned).sum())
    assert row.sums.max_abs == float(delta.abs().max())


def test_a_nan_in_bfloat16_is_counted_where_it_is(tmp_path):
    base = torch.randn(1000).bfloat16()
    tuned = base.clone()
    tuned[3], base[10], tuned[10] = float("nan"), float("nan"), float("nan")
    row = change_of(tmp_path, base, tuned)
    assert (row.sums.n_nonfinite_base, row.sums.n_nonfinite_tuned, row.sums.n_undefined) == (1, 2, 1)

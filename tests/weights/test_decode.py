import numpy as np
import pytest
import torch

from forgetaudit.weights.casting import casts_to, differs_from_cast
from forgetaudit.weights.decode import FLOATING, INTEGER, bits_of, decode

ROOM = np.empty(1 << 16, dtype=np.float32)
EIGHT_BITS = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"]


@pytest.mark.parametrize("dtype", [*EIGHT_BITS, "float16", "bfloat16", "int8", "uint8", "int16", "uint16"])
def test_every_bit_pattern_decodes_to_torchs_value(dtype):
    bits = np.arange(256 if dtype in (*EIGHT_BITS, "int8", "uint8") else 65536)
    raw = bits.astype(np.uint8 if bits.size == 256 else np.uint16).view(np.uint8)
    theirs = torch.from_numpy(raw.copy()).view(getattr(torch, dtype)).float().numpy()
    np.testing.assert_array_equal(decode(raw, dtype, ROOM), theirs)


@pytest.mark.parametrize("dtype", [*sorted(INTEGER - {"bool"}), "float64", "float32"])
def test_wide_values_decode_to_torchs_value(dtype):
    tensor = torch.tensor([0, 1, 7, 100], dtype=getattr(torch, dtype))
    raw = tensor.view(torch.uint8).numpy()
    np.testing.assert_array_equal(decode(raw, dtype, ROOM), tensor.double().numpy())


def test_booleans_decode_to_zero_and_one():
    np.testing.assert_array_equal(
        decode(torch.tensor([True, False]).view(torch.uint8).numpy(), "bool", ROOM), [1, 0]
    )


def test_a_type_without_numbers_is_compared_byte_by_byte():
    assert bits_of(np.zeros(16, dtype=np.uint8), "complex64").size == 16


def values(seed=0):
    generator = np.random.default_rng(seed)
    anything = generator.integers(0, 1 << 32, 100_000, dtype=np.uint32).view(np.float32)
    ends = [448, 464, 465, 480, 57344, 61440, 61441, 65504, 65520, 65536, 0, -0.0, np.inf, -np.inf, np.nan]
    # Half-way between two neighbours in bfloat16: both neighbours' last places occur, odd and even.
    ties = (generator.integers(0, 1 << 16, 10_000, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    return np.concatenate(
        [anything, generator.standard_normal(100_000).astype(np.float32), ties, np.float32(ends)]
    )


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_cast_has_torchs_bits_for_every_kind_of_value(dtype):
    base = values()
    cast = torch.from_numpy(base).to(getattr(torch, dtype)).view(torch.uint8).numpy()
    assert not differs_from_cast(base, cast, dtype).any()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e4m3fn"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_cast_from_float64_has_torchs_bits(dtype):
    base = np.random.default_rng(1).standard_normal(100_000)
    cast = torch.from_numpy(base).to(getattr(torch, dtype)).view(torch.uint8).numpy()
    assert not differs_from_cast(base, cast, dtype).any()


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
)
def test_the_next_number_up_is_no_cast(dtype):
    base = np.abs(np.random.default_rng(2).standard_normal(1000)).astype(np.float32)
    cast = torch.from_numpy(base).to(getattr(torch, dtype)).view(torch.uint8).numpy().copy()
    bits = bits_of(cast, dtype)
    bits += 1
    assert differs_from_cast(base, cast, dtype).all()


def test_a_nan_where_base_has_a_number_is_no_cast():
    cast = torch.tensor([1.0, torch.nan]).bfloat16().view(torch.uint8).numpy()
    assert differs_from_cast(np.float32([1.0, 2.0]), cast, "bfloat16").tolist() == [False, True]


def test_the_types_that_can_be_rounded_to_are_floating():
    assert {dtype for dtype in FLOATING if not casts_to(dtype)} == {
        "float8_e4m3fnuz",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
    }
    assert not any(casts_to(dtype) for dtype in INTEGER)

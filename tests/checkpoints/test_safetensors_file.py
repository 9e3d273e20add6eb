import json
import os

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tests.checkpoints.hand_made import entry, whole, write

from forgetaudit.checkpoints import header
from forgetaudit.checkpoints.safetensors_file import SafetensorsFile
from forgetaudit.errors import UnreadableCheckpoint

TORCH_DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "complex64",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
]


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_every_dtype_reads_back_as_the_safetensors_library_wrote_it(tmp_path, dtype):
    raw = torch.randint(0, 2, (48,), dtype=torch.uint8)
    tensor = raw.view(getattr(torch, dtype))
    save_file({"layer.weight": tensor}, tmp_path / "a.safetensors")
    with SafetensorsFile(tmp_path / "a.safetensors") as checkpoint:
        info = checkpoint.tensors["layer.weight"]
        assert (info.dtype, info.shape, info.n_bytes) == (dtype, tuple(tensor.shape), 48)
        assert whole(checkpoint, "layer.weight") == bytes(raw.tolist())


def test_names_shapes_metadata_and_values_agree_with_the_safetensors_library(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {
        "b": torch.randn(3, 5),
        "a.scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "c": torch.arange(7),
    }
    save_file(tensors, path, metadata={"format": "pt", "made by": "a test"})
    with SafetensorsFile(path) as checkpoint:
        assert checkpoint.metadata == {"format": "pt", "made by": "a test"}
        assert checkpoint.files == (path,)
        assert checkpoint.format == "safetensors"
        for name, tensor in load_file(path).items():
            assert checkpoint.tensors[name].shape == tuple(tensor.shape)
            assert checkpoint.tensors[name].n_elements == tensor.numel()
            assert whole(checkpoint, name) == tensor.numpy().tobytes()
        assert checkpoint.tensors.keys() == tensors.keys()


def test_a_part_of_a_tensor_is_read_from_where_it_was_asked(tmp_path):
    save_file({"a": torch.arange(100), "b": torch.arange(100, 200)}, tmp_path / "a.safetensors")
    out = bytearray(16)
    with SafetensorsFile(tmp_path / "a.safetensors") as checkpoint:
        checkpoint.read("b", 80, memoryview(out))
        assert torch.frombuffer(out, dtype=torch.int64).tolist() == [110, 111]
        with pytest.raises(ValueError, match="800 bytes; 16 from 792"):
            checkpoint.read("b", 792, memoryview(out))


def test_tensors_come_in_file_order_and_not_in_header_order(tmp_path):
    path = write(tmp_path / "a.safetensors", {"late": entry(begin=8, end=16), "early": entry()}, b"\0" * 16)
    with SafetensorsFile(path) as checkpoint:
        assert list(checkpoint.tensors) == ["early", "late"]


TWO = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
HOSTILE = {
    "hole": (
        {"a": entry(), "b": entry(begin=12, end=20)},
        b"\0" * 20,
        "4 bytes before tensor 'b' belong to no tensor",
    ),
    "overlap": ({"a": entry(), "b": entry(begin=4, end=12)}, b"\0" * 12, "tensor 'b' overlaps tensor 'a'"),
    "hole at the start": (
        {"a": entry(begin=4, end=12)},
        b"\0" * 12,
        "4 bytes before tensor 'a' belong to no tensor",
    ),
    "trailing": ({"a": entry()}, b"\0" * 11, "3 bytes follow its last tensor"),
    "truncated": ({"a": entry()}, b"\0" * 5, "is truncated: its tensors need 8 bytes, it has 5"),
    "size": ({"a": entry(shape=(3,))}, b"\0" * 8, "tensor 'a' needs 12 bytes and is given 8"),
    "half a byte": (
        {"a": entry(dtype="F4", shape=(3,), end=1)},
        b"\0",
        "tensor 'a' needs 2 bytes and is given 1",
    ),
    "unknown dtype": ({"a": entry(dtype="F33")}, b"\0" * 8, "tensor 'a' has the unknown dtype 'F33'"),
    "dtype as a list": ({"a": entry(dtype=["F32"])}, b"\0" * 8, "tensor 'a' has the unknown dtype"),
    "twice": (TWO, b"\0" * 8, "its header names 'a' twice"),
    "field twice": (b'{"a":{"dtype":"F32","dtype":"I32"}}', b"", "its header names 'dtype' twice"),
    "negative shape": (
        {"a": entry(shape=(-2,))},
        b"\0" * 8,
        "tensor 'a' has a shape that is not a list of counts",
    ),
    "true as a count": (
        {"a": entry(shape=(True, 2))},
        b"\0" * 8,
        "tensor 'a' has a shape that is not a list of counts",
    ),
    "a fraction": (
        {"a": entry(shape=(2.0,))},
        b"\0" * 8,
        "tensor 'a' has a shape that is not a list of counts",
    ),
    "a huge shape": (
        {"a": entry(shape=(2**63,))},
        b"\0" * 8,
        "tensor 'a' has a shape that is not a list of counts",
    ),
    "many dimensions": (
        {"a": entry(shape=[1] * 99)},
        b"\0" * 8,
        "tensor 'a' has a shape that is not a list of counts",
    ),
    "backwards": (
        {"a": entry(begin=8, end=0)},
        b"\0" * 8,
        "tensor 'a' has data_offsets that are not a begin and an end",
    ),
    "one field more": (
        {"a": entry() | {"code": "x"}},
        b"\0" * 8,
        "is not described by dtype, shape and data_offsets",
    ),
    "a list": (b"[]", b"", "its header is not a JSON object"),
    "not JSON": (b"{nonsense", b"", "its header is not a JSON object"),
    "not UTF-8": (b'{"\xff":1}', b"", "its header is not a JSON object"),
    "deep": (b'{"a":' * 50_000, b"", "its header is not a JSON object"),
    "long number": (b'{"a":' + b"9" * 5000 + b"}", b"", "its header is not a JSON object"),
    "metadata": ({"__metadata__": {"a": 1}}, b"", "__metadata__ holds something else than text under 'a'"),
    "metadata as text": ({"__metadata__": "a"}, b"", "__metadata__ is not a JSON object"),
}


@pytest.mark.parametrize(("written", "data", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_wrong_file_is_refused_with_what_is_wrong(tmp_path, written, data, message):
    path = write(tmp_path / "a.safetensors", written, data)
    with pytest.raises(UnreadableCheckpoint) as refusal:
        SafetensorsFile(path)
    assert message in refusal.value.fact
    assert str(path) in refusal.value.fact
    assert refusal.value.hint


def test_a_header_longer_than_the_file_is_truncation(tmp_path):
    path = write(tmp_path / "a.safetensors", {}, b"", length=1000)
    with pytest.raises(UnreadableCheckpoint, match="is truncated: its header needs 1,008 bytes, it has 10"):
        SafetensorsFile(path)


def test_an_absurd_header_length_is_refused_before_memory_is_taken(tmp_path):
    path = write(tmp_path / "a.safetensors", {}, b"", length=1 << 40)
    with pytest.raises(UnreadableCheckpoint, match="announces a header of 1,099,511,627,776 bytes"):
        SafetensorsFile(path)


def test_a_file_of_a_few_bytes_ends_before_its_header(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"abc")
    with pytest.raises(UnreadableCheckpoint, match="ends after 3 bytes, before its header"):
        SafetensorsFile(tmp_path / "a.safetensors")


def test_too_many_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(header, "MAX_TENSORS", 3)
    path = write(tmp_path / "a.safetensors", {str(i): entry(shape=(0,), end=0) for i in range(4)}, b"")
    with pytest.raises(UnreadableCheckpoint, match="names 4 tensors, more than 3"):
        SafetensorsFile(path)


def test_a_huge_shape_without_elements_is_harmless(tmp_path):
    path = write(tmp_path / "a.safetensors", {"a": entry(shape=(0, 2**40), end=0)}, b"")
    with SafetensorsFile(path) as checkpoint:
        assert checkpoint.tensors["a"].n_elements == 0


def test_a_file_that_shrinks_while_it_is_read_is_named_and_kills_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    with SafetensorsFile(path) as checkpoint:
        os.truncate(path, 500)
        with pytest.raises(UnreadableCheckpoint, match="changed while it was being read"):
            whole(checkpoint, "a")


def test_a_file_that_is_rewritten_while_it_is_read_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    with SafetensorsFile(path) as checkpoint:
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\1\1\1\1")
        os.utime(path, ns=(1, 1))
        with pytest.raises(UnreadableCheckpoint, match="changed while it was being read"):
            whole(checkpoint, "a")


def test_closing_twice_is_harmless_and_reading_after_it_is_an_error(tmp_path):
    save_file({"a": torch.zeros(4)}, tmp_path / "a.safetensors")
    checkpoint = SafetensorsFile(tmp_path / "a.safetensors")
    checkpoint.close()
    checkpoint.close()
    with pytest.raises(ValueError, match="is closed"):
        whole(checkpoint, "a")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 100), byte=st.integers(0, 255), data=st.data())
def test_what_the_safetensors_library_refuses_is_never_accepted_here(tmp_path, place, byte, data):
    path = tmp_path / "a.safetensors"
    good = json.dumps({"a": entry(), "b": entry(begin=8, end=16)}).encode()
    text = bytearray(good)
    text[place % len(text)] = byte
    write(path, bytes(text), b"\0" * data.draw(st.sampled_from([16, 16, 16, 12, 20])))
    try:
        theirs = set(load_file(path))
    except (SafetensorError, ValueError):
        theirs = None
    try:
        with SafetensorsFile(path) as checkpoint:
            ours = set(checkpoint.tensors)
    except UnreadableCheckpoint:
        return
    assert theirs is not None
    assert ours == theirs

import argparse
import collections
import os
import pathlib
import warnings
import zipfile

import pytest
import torch
from tests.checkpoints.hand_made import whole
from torch import nn

from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.checkpoints.torch_file import TorchFile
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint


def saved(folder, what, name="model.pt", **options):
    torch.save(what, folder / name, **options)
    return folder / name


class Arbitrary:
    """Runs a harmless piece of code when it is unpickled: it makes the file it was given."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self.marker),)


def test_a_state_dict_reads_back_in_names_shapes_and_bytes(tmp_path):
    state = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).state_dict()
    state["half"] = torch.randn(7).bfloat16()
    state["flags"] = torch.tensor([True, False])
    state["eight"] = torch.randn(8).to(torch.float8_e4m3fn)
    state["scalar"], state["empty"] = torch.tensor(3.0), torch.zeros(0, 3)
    with open_checkpoint(saved(tmp_path, state)) as checkpoint:
        assert checkpoint.format == "torch file"
        assert checkpoint.notes == ()
        assert list(checkpoint.tensors) == list(state)
        for name, tensor in state.items():
            info = checkpoint.tensors[name]
            assert (info.dtype, info.shape) == (str(tensor.dtype)[6:], tuple(tensor.shape))
            assert whole(checkpoint, name) == bytes(tensor.reshape(-1).view(torch.uint8).tolist())


def test_tensors_that_are_views_read_in_their_own_order(tmp_path):
    square = torch.arange(12.0).reshape(3, 4)
    state = {
        "turned": square.t(),
        "row": square[1],
        "every other": square[:, ::2],
        "turned sign": torch.conj(1j * square).imag,
    }
    with open_checkpoint(saved(tmp_path, state)) as checkpoint:
        for name, tensor in state.items():
            assert whole(checkpoint, name) == tensor.contiguous().clone().numpy().tobytes()
        out = bytearray(8)
        checkpoint.read("turned", 4, memoryview(out))
        assert torch.frombuffer(out, dtype=torch.float32).tolist() == [4.0, 8.0]
        with pytest.raises(ValueError, match="48 bytes; 8 from 44"):
            checkpoint.read("turned", 44, memoryview(out))


def test_tied_tensors_are_both_there(tmp_path):
    weight = torch.randn(3, 3)
    with open_checkpoint(saved(tmp_path, {"embed.weight": weight, "head.weight": weight})) as checkpoint:
        assert (
            whole(checkpoint, "embed.weight") == whole(checkpoint, "head.weight") == weight.numpy().tobytes()
        )


WEIGHTS = {"layer.weight": torch.ones(2), "layer.bias": torch.zeros(2)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize(
    ("held", "notes"),
    [
        ({"state_dict": WEIGHTS, "epoch": 3}, ("the weights stand under 'state_dict'",)),
        ({"model": WEIGHTS, "optimizer": OPTIMIZER}, ("the weights stand under 'model'",)),
        (
            {"model_state_dict": WEIGHTS, "loss": torch.tensor(0.5)},
            ("the weights stand under 'model_state_dict'",),
        ),
        ({"model": {"state_dict": WEIGHTS}}, ("the weights stand under 'model.state_dict'",)),
        ({"my_weights": WEIGHTS, "optim_states": WEIGHTS}, ("the weights stand under 'my_weights'",)),
        (
            {"state_dict": WEIGHTS, "state_dict_ema": WEIGHTS},
            (
                "the weights stand under 'state_dict'",
                "the raw weights under 'state_dict' were read, and not the averaged weights (EMA) under 'state_dict_ema'",
            ),
        ),
        (
            {"model_ema": WEIGHTS, "epoch": 3},
            (
                "the weights stand under 'model_ema'",
                "only averaged weights (EMA) are in the file: 'model_ema'",
            ),
        ),
        (WEIGHTS | {"epoch": 3, "note": "x"}, ("left out, as no tensors (2): epoch, note",)),
        (collections.OrderedDict(WEIGHTS), ()),
        ({"schema.weight": torch.ones(1)} | WEIGHTS, ()),
    ],
)
def test_the_weights_of_a_training_checkpoint_are_found_and_said(tmp_path, held, notes):
    with open_checkpoint(saved(tmp_path, held)) as checkpoint:
        assert {"layer.weight", "layer.bias"} <= checkpoint.tensors.keys()
        assert tuple(map(str, checkpoint.notes)) == notes


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (
            {"generator": WEIGHTS, "discriminator": WEIGHTS},
            "holds 2 sets of weights, and nothing says which is meant",
        ),
        ({"model": WEIGHTS, "net": WEIGHTS}, "holds 2 sets of weights"),
        ({"epoch": 3, "lr": 0.1}, "holds no tensors by name"),
        ({}, "holds no tensors by name"),
        ({"optimizer": OPTIMIZER}, "holds no tensors by name"),
        (torch.ones(3), "holds one Tensor, not named tensors"),
        ([torch.ones(3)], "holds one list, not named tensors"),
    ],
)
def test_where_the_weights_are_not_clear_nothing_is_guessed(tmp_path, held, message):
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(saved(tmp_path, held))
    assert message in refusal.value.fact
    assert refusal.value.hint


def test_a_pickle_that_would_run_code_is_named_and_not_run(tmp_path):
    marker = tmp_path / "it ran"
    path = saved(tmp_path, {"a": torch.ones(1), "b": Arbitrary(str(marker))})
    with pytest.raises(UnsafeCheckpoint) as refusal:
        open_checkpoint(path)
    assert "names Python objects that loading would run or build; it was not loaded" in refusal.value.fact
    assert "pathlib" in refusal.value.details[0]
    assert "torch.save(model.state_dict(), FILE)" in refusal.value.hint
    assert not marker.exists()


def test_the_payload_of_that_test_does_run_under_plain_unpickling(tmp_path):
    marker = tmp_path / "it ran"
    torch.load(saved(tmp_path, {"b": Arbitrary(str(marker))}), weights_only=False)
    assert marker.exists()


def test_the_arguments_of_a_training_script_are_data(tmp_path):
    state = {"layer.weight": torch.ones(2, 2)}
    arguments = argparse.Namespace(lr=0.1, model="convnext_atto", size=(3, 224, 224), resume=None)
    path = saved(tmp_path, {"epoch": 3, "arch": "convnext_atto", "state_dict": state, "args": arguments})
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint.tensors) == ["layer.weight"]
        assert any("'state_dict'" in note for note in checkpoint.notes)


def test_what_stands_among_those_arguments_is_refused_as_elsewhere(tmp_path):
    path = saved(tmp_path, {"state_dict": {}, "args": argparse.Namespace(out=pathlib.PurePosixPath("runs"))})
    with pytest.raises(UnsafeCheckpoint) as refused:
        open_checkpoint(path)
    assert "named (1): " in str(refused.value)
    assert "Namespace" not in str(refused.value)
    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def test_a_whole_module_is_refused_by_the_name_of_its_class(tmp_path):
    with pytest.raises(UnsafeCheckpoint) as refusal:
        open_checkpoint(saved(tmp_path, nn.Linear(2, 2)))
    assert refusal.value.details == ("named (1): torch.nn.modules.linear.Linear",)


def test_torchscript_is_code_and_is_not_loaded(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "model.pt")
    with pytest.raises(UnsafeCheckpoint, match="is a TorchScript archive, which is code"):
        open_checkpoint(tmp_path / "model.pt")


def test_an_exported_program_is_code_and_is_not_loaded(tmp_path):
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), tmp_path / "model.pt2")
    with pytest.raises(UnsafeCheckpoint, match="is an exported program, which is code"):
        open_checkpoint(tmp_path / "model.pt2")


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_a_torch_package_is_code_and_is_not_loaded(tmp_path):
    with torch.package.PackageExporter(tmp_path / "model.pt") as package:
        package.save_pickle("model", "model.pkl", {"a": torch.ones(1)})
    with pytest.raises(UnsafeCheckpoint, match=r"is a torch\.package, which is code"):
        open_checkpoint(tmp_path / "model.pt")


def test_the_format_before_torch_1_6_is_refused_with_the_recipe(tmp_path):
    path = saved(tmp_path, WEIGHTS, _use_new_zipfile_serialization=False)
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(path)
    assert "torch before 1.6" in refusal.value.fact
    assert refusal.value.hint == "convert it once: torch.save(torch.load(OLD, weights_only=True), NEW)"
    torch.save(torch.load(path, weights_only=True), tmp_path / "new.pt")
    with open_checkpoint(tmp_path / "new.pt") as checkpoint:
        assert checkpoint.tensors.keys() == WEIGHTS.keys()


def test_a_bare_pickle_is_not_loaded(tmp_path):
    (tmp_path / "model.pt").write_bytes(b"\x80\x04}\x94.")
    with pytest.raises(UnsafeCheckpoint, match="is a bare pickle, which can run any code; it was not loaded"):
        open_checkpoint(tmp_path / "model.pt")


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    path = saved(tmp_path, {"a": torch.zeros(1).expand(1 << 40)})
    assert path.stat().st_size < 10_000
    with pytest.raises(
        UnreadableCheckpoint, match="claims 1,099,511,627,776 elements for 'a' and stores 4 bytes"
    ):
        open_checkpoint(path)


def test_compressed_members_are_refused(tmp_path):
    path = saved(tmp_path, {"a": torch.zeros(100_000)})
    with (
        zipfile.ZipFile(path) as stored,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in stored.infolist():
            packed.writestr(member.filename, stored.read(member))
    with pytest.raises(UnreadableCheckpoint, match="has compressed members, such as"):
        open_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8),
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    ],
    ids=["sparse", "quantised", "nested"],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_not_dense_are_refused(tmp_path, make):
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(saved(tmp_path, {"a": make()}))
    assert "holds 'a' in a form that is not a plain dense tensor" in refusal.value.fact
    assert refusal.value.hint


def test_a_truncated_torch_file_says_so(tmp_path):
    path = saved(tmp_path, WEIGHTS)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(UnreadableCheckpoint, match="is truncated or damaged: it begins as a torch file"):
        open_checkpoint(path)


def test_another_zip_archive_says_so(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UnreadableCheckpoint, match="is a zip archive without torch weights"):
        open_checkpoint(tmp_path / "a.pt")


def test_damage_inside_the_archive_is_told_in_torchs_words(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02nonsense")
        archive.writestr("a/version", b"3")
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(tmp_path / "a.pt")
    assert "cannot be read as a torch file" in refusal.value.fact
    assert refusal.value.details[0].startswith("torch says: ")


def test_a_torch_file_that_shrinks_while_open_is_named_and_kills_nothing(tmp_path):
    path = saved(tmp_path, {"a": torch.zeros(100_000)})
    with TorchFile(path) as checkpoint:
        os.truncate(path, 1000)
        with pytest.raises(UnreadableCheckpoint, match="changed while it was being read"):
            whole(checkpoint, "a")


def test_a_torch_file_under_the_name_of_safetensors_is_refused(tmp_path):
    with pytest.raises(UnreadableCheckpoint) as refusal:
        open_checkpoint(saved(tmp_path, WEIGHTS).rename(tmp_path / "model.safetensors"))
    assert "is a torch file under the name of a safetensors file" in refusal.value.fact
    assert refusal.value.hint == "rename it to end with .pt"

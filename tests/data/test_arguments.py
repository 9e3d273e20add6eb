from dataclasses import dataclass
from pathlib import Path

import pytest

from forgetaudit.data.arguments import DataAddress, parse_data
from forgetaudit.errors import DataError, UsageError


@dataclass(frozen=True)
class Entry:
    path: str
    split: str | None = None
    input: str | None = None
    label: str | None = None


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "src_val").mkdir()
    (tmp_path / "target_val").mkdir()
    (tmp_path / "val.jsonl").write_text("{}")
    return tmp_path


def parse(text: str, here: Path, **entries: Entry) -> DataAddress:
    return parse_data(text, entries=entries, directory=here)


def test_a_directory_is_named_by_its_folder_and_said(here: Path) -> None:
    address = parse("src_val", here)
    assert (address.name, address.where, address.split) == ("src_val", "src_val", None)
    assert address.decision == "src_val: the directory src_val"


def test_a_file_is_named_without_its_suffix(here: Path) -> None:
    address = parse("val.jsonl", here)
    assert (address.name, address.where) == ("val", "val.jsonl")
    assert address.decision == "val.jsonl: the file val.jsonl"


def test_a_name_may_be_given_before_the_place(here: Path) -> None:
    address = parse("flowers=src_val:test", here)
    assert (address.name, address.where, address.split) == ("flowers", "src_val", "test")


def test_a_colon_parts_the_split(here: Path) -> None:
    address = parse("src_val:test", here)
    assert (address.name, address.where, address.split) == ("src_val:test", "src_val", "test")
    assert address.decision.endswith("split test")


@pytest.mark.parametrize("name", ["src_val:test", "flowers=src_val", "a=b:c"])
def test_an_existing_path_wins_over_the_syntax(here: Path, name: str) -> None:
    (here / name).mkdir()
    address = parse(name, here)
    assert (address.name, address.where, address.split) == (name, name, None)


def test_an_entry_of_the_config_comes_first_and_the_path_passed_over_is_named(here: Path) -> None:
    entry = Entry(path="target_val", split="test", input="pixels", label="digit")
    address = parse("src_val", here, src_val=entry)
    assert (address.name, address.where, address.split) == ("src_val", "target_val", "test")
    assert (address.input_column, address.label_column) == ("pixels", "digit")
    assert (
        address.decision
        == "src_val: the entry data.src_val of the config, target_val; the path src_val was passed over"
    )


def test_an_entry_that_means_the_path_of_its_name_passes_nothing_over(here: Path) -> None:
    assert "passed over" not in parse("src_val", here, src_val=Entry(path="./src_val")).decision


def test_an_entry_is_relative_to_the_folder_of_its_config(here: Path) -> None:
    (here / "below").mkdir()
    address = parse_data(
        "data", entries={"data": Entry("src_val")}, directory=here / "below", entries_directory=here
    )
    assert (address.directory, address.where) == (here, "src_val")


def test_a_split_typed_wins_over_the_split_of_the_entry(here: Path) -> None:
    address = parse("digits:train", here, digits=Entry(path="src_val", split="test"))
    assert (address.name, address.split) == ("digits:train", "train")


@pytest.mark.parametrize(
    ("text", "name", "where", "split"),
    [
        ("hf://cifar10", "cifar10", "hf://cifar10", None),
        ("hf://uoft/cifar10:test", "cifar10:test", "hf://uoft/cifar10", "test"),
        ("small=hf://uoft/cifar10/plain", "small", "hf://uoft/cifar10/plain", None),
    ],
)
def test_the_hub_is_meant_only_when_spelled(
    here: Path, text: str, name: str, where: str, split: str | None
) -> None:
    address = parse(text, here)
    assert (address.name, address.where, address.split) == (name, where, split)
    assert "from the Hugging Face Hub" in address.decision


def test_a_mistyped_path_names_the_nearest_and_never_becomes_the_hub(here: Path) -> None:
    with pytest.raises(DataError) as refusal:
        parse("src_vla", here, src_test=Entry("src_val"))
    assert refusal.value.fact == "there is no data at src_vla"
    assert refusal.value.hint is not None
    assert refusal.value.hint.startswith("did you mean src_val")
    assert "or write hf://src_vla" in refusal.value.hint


def test_a_missing_folder_is_named(here: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        parse("nowhere/src_val", here)


def test_a_split_of_something_missing_is_a_missing_path(here: Path) -> None:
    with pytest.raises(DataError, match=r"there is no data at C:\\val"):
        parse("C:\\val", here)


def test_an_empty_argument_is_refused(here: Path) -> None:
    with pytest.raises(DataError, match="there is no data at"):
        parse("", here)


@pytest.mark.parametrize("text", ["name=", "=src_val"])
def test_a_name_without_a_place_is_refused(here: Path, text: str) -> None:
    with pytest.raises(UsageError, match="lacks a name or a place"):
        parse(text, here)


def test_a_colon_without_a_split_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="names no split"):
        parse("src_val:", here)

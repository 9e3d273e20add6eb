import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from forgetaudit.data.examples import Examples
from forgetaudit.data.readers import examples_of, open_examples
from forgetaudit.errors import DataError
from forgetaudit.gaps import gaps_in


def pixels(examples: Examples) -> list[bytes]:
    return [example.input.tobytes() for example in examples]


def labels(examples: Examples) -> list[int | None]:
    return [example.label for example in examples]


def write_rows(path: Path, scans: Sequence[Image.Image], digits: Sequence[int]) -> None:
    rows = [
        {"x": np.asarray(scan).tolist(), "label": digit} for scan, digit in zip(scans, digits, strict=True)
    ]
    text = json.dumps(rows) if path.suffix == ".json" else "\n".join(json.dumps(row) for row in rows)
    path.write_text(text)


@pytest.fixture
def saved(tmp_path: Path, dataset: datasets.Dataset) -> Path:
    datasets.disable_progress_bars()
    dataset.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict(train=dataset.select([0, 1, 2]), test=dataset.select([3, 4])).save_to_disk(
        str(tmp_path / "splits")
    )
    dataset.to_parquet(str(tmp_path / "val.parquet"))
    return tmp_path


def test_a_saved_data_set_is_read_with_its_types(
    saved: Path, scans: list[Image.Image], digits: list[int]
) -> None:
    found = open_examples("saved", directory=saved)
    assert pixels(found) == [scan.tobytes() for scan in scans]
    assert labels(found) == digits
    assert found.class_names == tuple("0123456789")
    assert found.decisions == (
        "input image (by type, images), label label (by type, class labels)",
        "10 classes (0, 1, 2, …)",
        "24 examples",
    )


def test_a_saved_data_set_with_splits_is_read_at_its_test_split(saved: Path) -> None:
    found = open_examples("splits", directory=saved)
    assert (len(found), found.decisions[0]) == (2, "split test, of train, test")
    assert len(open_examples("splits", directory=saved, split="train")) == 3


def test_every_way_to_keep_images_gives_the_same_ids(
    saved: Path, class_folders: Path, dataset: datasets.Dataset
) -> None:
    known = {example.id for example in examples_of(dataset)}
    datasets.Dataset.from_file(str(next((saved / "saved").glob("*.arrow"))))
    (saved / "one.arrow").write_bytes(next((saved / "saved").glob("*.arrow")).read_bytes())
    for where in ("saved", "val.parquet", "one.arrow", str(class_folders)):
        assert {example.id for example in open_examples(where, directory=saved)} == known


def test_parquet_without_declared_features_still_shows_its_images(saved: Path, digits: list[int]) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(saved / "val.parquet")
    pyarrow.parquet.write_table(table.replace_schema_metadata(None), saved / "bare.parquet")
    found = open_examples("bare.parquet", directory=saved)
    assert labels(found) == digits
    assert found.class_names is None


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_arrays_in_json_are_read_with_labels_by_name(
    tmp_path: Path, scans: list[Image.Image], digits: list[int], suffix: str
) -> None:
    write_rows(tmp_path / f"val.{suffix}", scans, digits)
    found = open_examples(f"val.{suffix}", directory=tmp_path)
    assert labels(found) == digits
    first = next(iter(found)).input
    assert isinstance(first, np.ndarray)
    assert (first.shape, first.dtype) == ((8, 8), np.int64)
    assert found.decisions[0] == "input x (by type, arrays of numbers), label label (by name, whole numbers)"


def test_arrays_of_declared_shape_keep_their_dtype() -> None:
    features = datasets.Features(x=datasets.Array2D((2, 3), "float32"), y=datasets.Value("int64"))
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    found = examples_of(datasets.Dataset.from_dict({"x": values, "y": [0, 1]}, features=features))
    assert all(np.array_equal(e.input, value) for e, value in zip(found, values, strict=True))
    assert {str(e.input.dtype) for e in found if isinstance(e.input, np.ndarray)} == {"float32"}


def test_npz_arrays_are_read_row_by_row(tmp_path: Path, scans: list[Image.Image], digits: list[int]) -> None:
    images = np.stack([np.asarray(scan) for scan in scans])
    np.savez(tmp_path / "val.npz", x=images, y=digits)
    found = open_examples("val.npz", directory=tmp_path)
    assert labels(found) == digits
    assert np.array_equal(np.stack([example.input for example in found]), images)


def inputs(examples: Examples) -> list[object]:
    return [example.input for example in examples]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_texts_are_read_as_they_stand_from_every_kind_of_table(tmp_path: Path, suffix: str) -> None:
    held = {"text": ['said "no",\nthen left', "größer · 大", ""], "label": [0, 1, 1]}
    table, path = datasets.Dataset.from_dict(held), tmp_path / f"val.{suffix}"
    rows = [dict(zip(held, row, strict=True)) for row in zip(*held.values(), strict=True)]
    if suffix == "parquet":
        table.to_parquet(str(path))
    elif suffix == "json":
        path.write_text(json.dumps(rows))
    elif suffix == "jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        table.to_csv(str(path), sep="," if suffix == "csv" else "\t", index=False)
    found = open_examples(path.name, directory=tmp_path)
    assert (inputs(found), labels(found)) == (held["text"], held["label"])
    assert found.of_text


def test_line_breaks_in_quoted_texts_survive_the_blocks_in_which_a_table_is_read(tmp_path: Path) -> None:
    texts = [f"{number}\n" * 40 for number in range(20_000)]
    datasets.Dataset.from_dict({"text": texts}).to_csv(str(tmp_path / "val.csv"), index=False)
    assert (tmp_path / "val.csv").stat().st_size > 3 << 20
    found = open_examples("val.csv", directory=tmp_path, limit=50)
    assert all(len({*str(example.input).split()}) == 1 for example in found)
    assert found.decisions[-1] == "50 of 20,000 examples, a random sample (seed 0)"


def test_two_texts_are_read_as_a_pair(tmp_path: Path) -> None:
    rows = [{"hypothesis": "b", "premise": "a", "label": "neutral"}]
    (tmp_path / "val.jsonl").write_text(json.dumps(rows[0]))
    found = open_examples("val.jsonl", directory=tmp_path)
    assert inputs(found) == [("a", "b")]
    turned = open_examples("val.jsonl", directory=tmp_path, input_column="hypothesis,premise")
    assert inputs(turned) == [("b", "a")]
    assert next(iter(found)).id != next(iter(turned)).id


def test_a_text_file_is_one_example_a_line_without_labels(tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_bytes("\ufefffirst\r\n\n  second  \n\n".encode())
    found = open_examples("val.txt", directory=tmp_path)
    assert (inputs(found), found.labelled) == (["first", "second"], False)
    assert found.decisions[0] == "input text (by name, text), no label column"
    (tmp_path / "latin.txt").write_bytes(b"gr\xf6\xdfer\n")
    with pytest.raises(DataError, match=r"latin.txt cannot be read as txt"):
        open_examples("latin.txt", directory=tmp_path)


def test_text_files_are_data_where_there_is_nothing_else(tmp_path: Path, class_folders: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("test.txt", "train.txt"):
        (tmp_path / "texts" / name).write_text(f"of {name}\n")
    assert inputs(open_examples("texts", directory=tmp_path)) == ["of test.txt"]
    (class_folders / "README.txt").write_text("about the scans\n")
    assert open_examples("folders", directory=tmp_path).class_names == tuple("0123456789")


def test_class_names_are_taken_from_the_column_beside_the_numbers(tmp_path: Path) -> None:
    rows = [{"text": t, "label": n, "label_text": w} for t, n, w in [("a", 1, "pos"), ("b", 0, "neg")]]
    (tmp_path / "val.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = open_examples("val.jsonl", directory=tmp_path)
    assert (found.class_names, labels(found), inputs(found)) == (("neg", "pos"), [1, 0], ["a", "b"])
    assert "classes named by column label_text" in found.decisions


def test_a_row_without_a_text_is_refused_with_its_row() -> None:
    held = datasets.Dataset.from_dict({"text": ["a", None], "label": [0, 1]})
    with pytest.raises(DataError, match="text in row 1 of src_val is empty"):
        list(examples_of(held, name="src_val"))


def test_texts_in_arrays_are_plain_strings(tmp_path: Path) -> None:
    np.savez(tmp_path / "val.npz", text=np.array(["a", "bc"]), label=[0, 1])
    assert [type(held) for held in inputs(open_examples("val.npz", directory=tmp_path))] == [str, str]


def test_images_and_arrays_are_not_taken_for_text(dataset: datasets.Dataset) -> None:
    assert not examples_of(dataset).of_text


def test_class_folders_are_read_in_natural_order(tmp_path: Path, scans: list[Image.Image]) -> None:
    for name, scan in zip(("10", "2", "1"), scans, strict=False):
        (tmp_path / "d" / name).mkdir(parents=True)
        scan.save(tmp_path / "d" / name / "a.png")
    found = open_examples("d", directory=tmp_path)
    assert found.class_names == ("1", "2", "10")
    assert pixels(found) == [scans[2].tobytes(), scans[1].tobytes(), scans[0].tobytes()]
    assert any("class 1 would be 10, not 2" in said for said in found.decisions)


def test_what_a_file_manager_hides_among_images_is_no_image(class_folders: Path) -> None:
    (class_folders / "3" / "._hidden.png").write_bytes(b"\0")
    (class_folders / ".trash").mkdir()
    found = open_examples(".", directory=class_folders)
    assert (len(list(found)), found.class_names) == (24, tuple("0123456789"))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("label, label\n1,2\n")
    with pytest.raises(DataError, match=r"val.csv has more than one column label"):
        open_examples("val.csv", directory=tmp_path)


def test_an_empty_class_folder_still_is_a_class(class_folders: Path) -> None:
    (class_folders / "99").mkdir()
    found = open_examples(".", directory=class_folders)
    assert found.class_names == (*"0123456789", "99")
    assert any("1 of them empty" in said for said in found.decisions)


def test_folders_named_as_splits_are_splits_and_not_classes(tmp_path: Path, scans: list[Image.Image]) -> None:
    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            scans[0].save(tmp_path / split / name / "x.png")
    found = open_examples(".", directory=tmp_path)
    assert found.class_names == ("a", "b")
    assert found.decisions[0] == "split val, of train, val"


def test_loose_images_have_no_labels(tmp_path: Path, scans: list[Image.Image]) -> None:
    for number, scan in enumerate(scans[:12]):
        scan.save(tmp_path / f"{number}.png")
    found = open_examples(".", directory=tmp_path)
    assert not found.labelled
    assert pixels(found) == [scan.tobytes() for scan in scans[:12]]
    assert found.decisions[:2] == (
        "images without class folders",
        "input image (by type, images), no label column",
    )


def test_a_folder_of_one_kind_of_file_is_read_as_one_or_by_split(
    tmp_path: Path, scans: list[Image.Image], digits: list[int]
) -> None:
    write_rows(tmp_path / "part-2.jsonl", scans[:1], digits[:1])
    write_rows(tmp_path / "part-10.jsonl", scans[1:3], digits[1:3])
    (tmp_path / "README.md").write_text("about")
    found = open_examples(".", directory=tmp_path)
    assert labels(found) == digits[:3]
    assert found.decisions[0] == "2 files read as one: part-2.jsonl to part-10.jsonl"
    for name in ("part-2.jsonl", "part-10.jsonl"):
        (tmp_path / name).unlink()
    write_rows(tmp_path / "train.jsonl", scans[:1], digits[:1])
    write_rows(tmp_path / "test-00000-of-00001.jsonl", scans[1:3], digits[1:3])
    assert labels(open_examples(".", directory=tmp_path)) == digits[1:3]
    assert labels(open_examples(".", directory=tmp_path, split="train")) == digits[:1]


def test_more_than_one_kind_of_data_is_refused_with_what_there_is(
    tmp_path: Path, class_folders: Path, scans: list[Image.Image], digits: list[int]
) -> None:
    write_rows(class_folders / "val.jsonl", scans, digits)
    with pytest.raises(DataError) as refusal:
        open_examples("folders", directory=tmp_path)
    assert refusal.value.fact == "folders holds more than one kind of data"
    assert refusal.value.details == ("jsonl (1), folders of images (10)",)
    assert refusal.value.hint == "name what is meant, such as --data folders/val.jsonl"


def test_nothing_to_read_is_refused_in_each_of_its_forms(tmp_path: Path, dataset: datasets.Dataset) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.bin").write_text("x")
    (tmp_path / "none.jsonl").write_text("\n")
    (tmp_path / "header.csv").write_text("x,label\n")
    facts = {
        "empty": "the directory empty is empty",
        "other": "other holds no data that can be read",
        "none.jsonl": "none.jsonl is empty",
        "header.csv": "header.csv is empty",
        "other/model.bin": "other/model.bin is no kind of data file that is known",
        "src_val": "there is no data at src_val",
    }
    for where, fact in facts.items():
        with pytest.raises(DataError) as refusal:
            open_examples(where, directory=tmp_path)
        assert refusal.value.fact == fact
    with pytest.raises(DataError, match="the data set is empty"):
        examples_of(dataset.select([]))


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "json", "jsonl", "npz", "csv"])
def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"val.{suffix}"
    path.write_bytes(b"" if suffix == "csv" else b"{not what it says\n")
    with pytest.raises(DataError) as refusal:
        open_examples(path.name, directory=tmp_path)
    assert refusal.value.fact == f"{path} cannot be read as {suffix}"
    assert refusal.value.hint == f"check that val.{suffix} is complete and really {suffix}"


def test_a_pickled_array_is_refused_and_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "val.npz", x=np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match="cannot be read as npz"):
        open_examples("val.npz", directory=tmp_path)


def test_arrays_of_different_length_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "val.npz", x=np.zeros((3, 2)), y=np.zeros(2))
    with pytest.raises(DataError, match=r"differ in length\n  x \[3, 2\], y \[2\]"):
        open_examples("val.npz", directory=tmp_path)


def test_a_damaged_saved_data_set_is_refused(saved: Path) -> None:
    next((saved / "saved").glob("*.arrow")).unlink()
    with pytest.raises(DataError, match="saved cannot be read as a saved data set"):
        open_examples("saved", directory=saved)


def test_a_damaged_image_is_refused_with_its_row(saved: Path, dataset: datasets.Dataset) -> None:
    rows = [dict(row) for row in dataset.cast_column("image", datasets.Image(decode=False))]
    rows[5]["image"]["bytes"] = b"damaged"
    damaged = datasets.Dataset.from_list(rows, features=dataset.features)
    with pytest.raises(DataError, match="row 5 of src_val holds no image that can be read"):
        list(examples_of(damaged, name="src_val"))


def test_ragged_rows_are_refused_with_their_row() -> None:
    ragged = datasets.Dataset.from_dict({"x": [[[1, 2], [3, 4]], [[1, 2], [3]]]})
    with pytest.raises(DataError, match="x in row 1 of the data set is not an array"):
        list(examples_of(ragged))


def test_a_split_of_something_without_splits_is_refused(saved: Path, class_folders: Path) -> None:
    for where in ("val.parquet", "saved", "folders"):
        with pytest.raises(DataError, match=f"pass --data {where}, without :test"):
            open_examples(where, directory=saved, split="test")


def test_the_split_of_a_data_set_saved_alone_must_be_its_own(
    tmp_path: Path, dataset: datasets.Dataset
) -> None:
    named = datasets.Dataset(
        dataset.data, info=dataset.info, split=datasets.Split.VALIDATION, fingerprint="0"
    )
    named.save_to_disk(str(tmp_path / "named"))
    assert open_examples("named", directory=tmp_path).decisions[0] == "split validation, the only one"
    with pytest.raises(DataError, match="named has no split test"):
        open_examples("named", directory=tmp_path, split="test")


def test_hidden_labels_are_said(dataset: datasets.Dataset) -> None:
    hidden = dataset.remove_columns("label").add_column("label", [-1] * len(dataset))
    found = examples_of(hidden)
    assert not found.labelled
    assert "label is empty or -1 in every row" in found.decisions


def test_a_limit_draws_the_same_examples_from_the_whole(saved: Path) -> None:
    everything = [example.id for example in open_examples("saved", directory=saved)]
    some = [example.id for example in open_examples("saved", directory=saved, limit=9, seed=3)]
    assert some == [i for i in everything if i in set(some)]
    assert some != everything[:9]


def test_class_names_come_from_all_rows_and_not_from_the_sample(tmp_path: Path) -> None:
    rows = [json.dumps({"x": [float(i)], "label": name}) for i, name in enumerate("cabdefgh")]
    (tmp_path / "val.jsonl").write_text("\n".join(rows))
    found = open_examples("val.jsonl", directory=tmp_path, limit=2)
    assert found.class_names == tuple("abcdefgh")


def test_local_data_leave_no_trace_and_ask_no_network(
    saved: Path, class_folders: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    cache = Path(datasets.config.HF_DATASETS_CACHE)
    before = [sorted(folder.rglob("*")) for folder in (saved, cache)]
    capfd.readouterr()
    for where in ("saved", "splits", "val.parquet", "folders"):
        list(open_examples(where, directory=saved))
    assert [sorted(folder.rglob("*")) for folder in (saved, cache)] == before
    assert capfd.readouterr() == ("", "")


def test_the_hub_offline_is_refused_in_our_words_and_torch_is_not_needed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from forgetaudit.data.readers import open_examples\n"
        "from forgetaudit.errors import DataError\n"
        "try: open_examples('hf://nobody/nothing', directory=Path('.'))\n"
        "except DataError as error: print(error)\n"
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.splitlines()[0] == "hf://nobody/nothing cannot be loaded from the Hub"
    assert "HF_HUB_OFFLINE keeps it from being loaded" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "False"
    assert ran.stderr == ""


def test_a_place_at_the_hub_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hf:// names no data set of the Hub"):
        open_examples("hf://", directory=tmp_path)


def test_a_link_that_leads_nowhere_is_an_error_and_no_smaller_data_set(class_folders: Path) -> None:
    for number in range(7):
        (class_folders / "3" / f"gone-{number}.png").symlink_to(class_folders / "nowhere.png")
    with pytest.raises(DataError) as refusal:
        open_examples(".", directory=class_folders)
    assert refusal.value.fact == "7 of 10 files of folders cannot be read"
    assert "3/gone-0.png (a link that leads nowhere)" in refusal.value.details[0]


def test_a_folder_named_as_an_image_and_an_empty_file_are_errors(class_folders: Path) -> None:
    (class_folders / "3" / "a.jpg").mkdir()
    with pytest.raises(DataError, match=r"3/a\.jpg \(a folder\)"):
        open_examples(".", directory=class_folders)
    (class_folders / "3" / "a.jpg").rmdir()
    (class_folders / "3" / "a.jpg").touch()
    with pytest.raises(DataError, match=r"3/a\.jpg \(empty\)"):
        open_examples(".", directory=class_folders)


def test_images_of_a_kind_that_is_not_read_are_errors(class_folders: Path) -> None:
    for name in ("a.heic", "b.JPG2", "c"):
        (class_folders / "3" / name).write_bytes(b"image")
    with pytest.raises(DataError, match="3 files of folders are of no kind of image that is read"):
        open_examples(".", directory=class_folders)


def test_what_lies_beside_images_is_counted_and_hidden_images_stand_on_the_first_screen(
    class_folders: Path,
) -> None:
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (class_folders / "3" / name).write_bytes(b"x")
    found = open_examples(".", directory=class_folders)
    assert len(found) == 24
    assert "not read, as they are no images: .DS_Store, Thumbs.db, notes.txt" in found.decisions
    assert gaps_in(found.decisions) == ()
    (class_folders / "3" / ".kept-back.png").write_bytes(b"x")
    gap = gaps_in(open_examples(".", directory=class_folders).decisions)[0]
    assert (gap.ident, gap.what) == (
        "files-not-read",
        "hidden images of folders were not read: .kept-back.png",
    )


def test_a_truncated_image_is_refused_with_its_file(class_folders: Path) -> None:
    stored = (class_folders / "3" / "3.png").read_bytes()
    (class_folders / "3" / "3.png").write_bytes(stored[:-30])
    with pytest.raises(DataError, match=r"3\.png"):
        list(open_examples(".", directory=class_folders))


def test_images_beside_the_class_folders_of_a_split_are_refused(
    class_folders: Path, scans: list[Image.Image]
) -> None:
    root = class_folders.parent
    class_folders.rename(root / "val")
    (root / "data").mkdir()
    (root / "val").rename(root / "data" / "val")
    scans[0].save(root / "data" / "val" / "loose.png")
    with pytest.raises(DataError, match="val holds 1 image beside 10 folders of images"):
        open_examples("data", directory=root)


def test_a_missing_part_packed_data_and_a_dead_link_are_no_smaller_data_set(
    tmp_path: Path, scans: list[Image.Image], digits: list[int]
) -> None:
    write_rows(tmp_path / "test-00000-of-00003.jsonl", scans[:2], digits[:2])
    write_rows(tmp_path / "test-00002-of-00003.jsonl", scans[2:3], digits[2:3])
    with pytest.raises(DataError, match="holds 2 of the 3 parts of test"):
        open_examples(".", directory=tmp_path)
    (tmp_path / "test-00001-of-00003.jsonl").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"00001-of-00003\.jsonl \(a link that leads nowhere\)"):
        open_examples(".", directory=tmp_path)
    (tmp_path / "test-00001-of-00003.jsonl").unlink()
    write_rows(tmp_path / "test-00001-of-00003.jsonl", scans[3:4], digits[3:4])
    assert len(open_examples(".", directory=tmp_path)) == 4
    (tmp_path / "more.jsonl.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="holds 1 packed file beside its data"):
        open_examples(".", directory=tmp_path)


def test_a_folder_of_data_beside_the_data_stands_on_the_first_screen(
    tmp_path: Path, scans: list[Image.Image], digits: list[int]
) -> None:
    write_rows(tmp_path / "val.jsonl", scans[:2], digits[:2])
    (tmp_path / "old").mkdir()
    write_rows(tmp_path / "old" / "val.jsonl", scans[:2], digits[:2])
    (tmp_path / "README.md").write_text("about")
    found = open_examples(".", directory=tmp_path)
    assert [gap.what for gap in gaps_in(found.decisions)] == ["folders of . were not read: old"]
    assert "not read, as they are no data: README.md" in found.decisions


@pytest.mark.parametrize("shape", ["one-hot", "one column"])
def test_labels_in_rows_are_read(
    tmp_path: Path, scans: list[Image.Image], digits: list[int], shape: str
) -> None:
    rows = np.eye(10)[digits] if shape == "one-hot" else np.array(digits)[:, None]
    np.savez(tmp_path / "val.npz", x=np.stack([np.asarray(scan) for scan in scans]), y=rows)
    found = open_examples("val.npz", directory=tmp_path)
    assert labels(found) == digits
    np.savez(tmp_path / "val.npz", x=np.zeros((4, 2)), y=np.ones((4, 3)))
    with pytest.raises(DataError, match="4 of 4 rows of y are neither one class nor one-hot"):
        open_examples("val.npz", directory=tmp_path)

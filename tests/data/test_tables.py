"""Tables as strangers write them: every row and column is read as it was meant, or the refusal names what is wrong."""

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forgetaudit.data.examples import Examples
from forgetaudit.data.readers import open_examples
from forgetaudit.errors import DataError
from forgetaudit.gaps import gaps_in


def write(folder: Path, name: str, content: str | bytes) -> Path:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder / name


def read(folder: Path, name: str, content: str | bytes, **asked: str) -> Examples:
    write(folder, name, content)
    return open_examples(name, directory=folder, **asked)  # type: ignore[arg-type]


def refusal(folder: Path, name: str, content: str | bytes, **asked: str) -> str:
    with pytest.raises(DataError) as refused:
        list(read(folder, name, content, **asked))
    return str(refused.value)


def inputs(examples: Examples) -> list[object]:
    return [example.input for example in examples]


def labels(examples: Examples) -> list[int | None]:
    return [example.label for example in examples]


@pytest.mark.parametrize("name", ["val.csv", "val.tsv", "val.jsonl", "val.json", "val.txt"])
def test_another_encoding_is_refused_with_the_byte_and_where_it_stands(tmp_path: Path, name: str) -> None:
    said = refusal(tmp_path, name, "text,label\nfine,0\ncaf\xe9,1\n".encode("latin-1"))
    assert f"{name} cannot be read as {name[4:]}: it is not UTF-8" in said
    assert "byte 0xE9 at offset 21, in line 3" in said
    assert "iconv -f ISO-8859-1" in said


def test_an_accent_in_the_header_is_refused_as_one_in_a_text_is(tmp_path: Path) -> None:
    said = refusal(tmp_path, "val.csv", "text,label,cat\xe9gorie\na,0,x\n".encode("latin-1"))
    assert "byte 0xE9 at offset 14, in line 1" in said


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_utf_16_is_known_by_its_mark(tmp_path: Path, encoding: str) -> None:
    assert f"it begins as {encoding.upper()} does" in refusal(
        tmp_path, "val.csv", "text,label\na,0\n".encode(encoding)
    )


def test_a_byte_far_into_a_file_is_found_across_blocks(tmp_path: Path) -> None:
    body = "é" * (1 << 20)
    said = refusal(tmp_path, "val.txt", body.encode() + b"\n\xff")
    assert "byte 0xFF at offset 2,097,153, in line 2" in said


def test_the_mark_of_utf_8_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    for name, text in {"a.csv": "text,label\na,0\n", "a.jsonl": '{"text": "a", "label": 0}'}.items():
        assert inputs(read(tmp_path, name, b"\xef\xbb\xbf" + text.encode())) == ["a"]


def test_rows_that_do_not_fit_the_header_are_counted_and_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, "val.csv", "text,label\na,0\nb,1,2\nc\nd,1\n")
    assert "2 of 4 rows of val.csv do not have the 2 fields of its header" in said
    assert "line 3 (3 fields), line 4 (1 fields)" in said


def test_a_quote_that_is_not_closed_takes_no_rows_with_it(tmp_path: Path) -> None:
    assert "unexpected end of data" in refusal(tmp_path, "val.csv", 'text,label\na,0\n"b,1\nc,0\n')
    assert "line 2" in refusal(tmp_path, "val.csv", 'text,label\n"a"b,0\nc,1\n')
    assert inputs(read(tmp_path, "val.csv", 'text,label\na 5" pipe,0\n')) == ['a 5" pipe']


def test_a_field_may_hold_delimiters_and_line_breaks_in_quotes(tmp_path: Path) -> None:
    assert inputs(read(tmp_path, "val.csv", 'text,label\n"a, b\nc",0\n')) == ["a, b\nc"]


def test_a_text_of_a_megabyte_is_read_from_csv(tmp_path: Path) -> None:
    assert inputs(read(tmp_path, "val.csv", f"text,label\n{'a' * (1 << 20)},0\n")) == ["a" * (1 << 20)]


def test_quotes_in_tsv_are_part_of_the_text(tmp_path: Path) -> None:
    found = read(tmp_path, "val.tsv", 'text\tlabel\n"Hello\t0\nworld"\t1\nx\t0\n')
    assert (inputs(found), labels(found)) == (['"Hello', 'world"', "x"], [0, 1, 0])


def test_tsv_as_writers_of_csv_quote_it_is_read_as_they_meant_it(tmp_path: Path) -> None:
    assert inputs(read(tmp_path, "val.tsv", 'text\tlabel\n"said ""no"",\nleft"\t0\n')) == ['said "no",\nleft']


def test_a_quoted_field_in_tsv_that_swallows_a_row_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "val.tsv", 'text\tlabel\n"a\t0\nb"\nc\t1\n')
    assert "run over tabs and line breaks" in said


def test_nul_bytes_and_duplicate_names_are_refused(tmp_path: Path) -> None:
    assert "line 2 holds a NUL byte" in refusal(tmp_path, "val.csv", b"text,label\na\0,0\n")
    assert "more than one column text" in refusal(tmp_path, "val.csv", "text,text,label\na,b,0\n")


@pytest.mark.parametrize(
    "content",
    [
        "a great movie,1\na bad one,0\nfine,1\n",
        "great,positive\nbad,negative\nfine,positive\n good,positive\n",
        "this is all there is to say about it\nand this is another one\n",
    ],
)
def test_a_file_without_a_header_is_noticed(tmp_path: Path, content: str) -> None:
    assert "the first line of val.csv looks like an example" in refusal(tmp_path, "val.csv", content)


def test_names_that_are_numbers_in_order_and_texts_as_names_are_a_header(tmp_path: Path) -> None:
    found = read(tmp_path, "val.csv", "0,1\na,b\nc,d\n", input_column="0", label_column="1")
    assert labels(found) == [0, 1]
    assert inputs(read(tmp_path, "a.csv", ",text,label\n0,text of one,1\n1,b,0\n")) == ["text of one", "b"]


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_delimiter_is_noticed(tmp_path: Path, sign: str, word: str) -> None:
    said = refusal(tmp_path, "val.csv", f"text{sign}label\na{sign}0\n")
    assert f"its fields are parted by {word}" in said
    assert "parted by commas" in refusal(tmp_path, "val.tsv", "text,label\na,0\n")


def test_names_of_classes_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    found = read(tmp_path, "val.csv", "text,label\na,02\nb,01\nc,10\n")
    assert (found.class_names, labels(found)) == (("01", "02", "10"), [1, 0, 2])


def test_numbers_are_the_text_where_the_column_is_a_text(tmp_path: Path) -> None:
    assert inputs(read(tmp_path, "val.csv", "text,label\n007,0\n1.50,1\n")) == ["007", "1.50"]
    assert inputs(read(tmp_path, "a.csv", "text,label\n7,0\n1.50,1\n")) == ["7", "1.50"]
    assert inputs(read(tmp_path, "b.csv", "code,label\n7,0\n1.50,1\n", input_column="code")) == ["7", "1.50"]


def test_texts_that_spell_what_is_missing_are_texts(tmp_path: Path) -> None:
    assert inputs(read(tmp_path, "val.csv", 'text,label\nNA,0\nnull,1\nNone,0\n"",1\n')) == [
        "NA",
        "null",
        "None",
        "",
    ]


def test_labels_as_numbers_beside_a_gap_are_refused_with_their_rows(tmp_path: Path) -> None:
    assert "1 of 3 rows have no label" in refusal(tmp_path, "val.csv", "text,label\na,0\nb,NA\nc,1\n")


@pytest.mark.parametrize(
    "record", ['{"text": "a", "label": 0, "label": 1}', '{"text": "a", "label": 1, "label": 1}']
)
def test_two_values_of_one_name_are_refused(tmp_path: Path, record: str) -> None:
    said = refusal(tmp_path, "val.jsonl", f'{{"text": "b", "label": 0}}\n{record}\n')
    assert "line 2: a record has two values for 'label'" in said
    assert "two values for 'label'" in refusal(tmp_path, "val.json", f"[{record}]")


@pytest.mark.parametrize(
    "line", ['{"text": "b", "lab', '{"text": "b", "label": 1} x', '{"text": "b", "label": NaN}', "[1]"]
)
def test_a_line_that_is_no_record_is_refused(tmp_path: Path, line: str) -> None:
    said = refusal(tmp_path, "val.jsonl", f'{{"text": "a", "label": 0}}\n{line}')
    assert "line 2" in said or "not a list of objects" in said


MIXED = [{"text": "a", "label": 0, "note": 1}, {"text": "b", "label": 1, "note": "1a"}]


@pytest.mark.parametrize("name", ["val.jsonl", "val.json"])
def test_a_column_that_mixes_types_spoils_no_other(tmp_path: Path, name: str) -> None:
    content = json.dumps(MIXED) if name == "val.json" else "\n".join(map(json.dumps, MIXED))
    assert inputs(read(tmp_path, name, content)) == ["a", "b"]
    said = refusal(tmp_path, name, content, input_column="note")
    assert "column note cannot be read: it holds numbers (row 0) and text (row 1)" in said


@pytest.mark.parametrize(("column", "option"), [("label", "--label-column"), ("text", "--input-column")])
def test_a_column_that_mixes_types_and_is_used_is_named(tmp_path: Path, column: str, option: str) -> None:
    rows = [{"text": "a", "label": 0, "other": "c"}, {"text": "b", "label": 1, "other": "d"}]
    rows[1][column] = ["x"]
    said = refusal(tmp_path, "val.jsonl", "\n".join(map(json.dumps, rows)))
    assert f"column {column} cannot be read" in said
    assert option in said


TABLE = {"text": ["a", "b"] * 2, "label": [0, 1] * 2}
ODD = {
    "map": pa.array([[("k", "v")]] * 4, pa.map_(pa.string(), pa.string())),
    "nested": pa.array([[{"a": [1, {"b": 2}["b"]]}]] * 4),
    "decimal": pa.array([1, 2, 3, 4], pa.decimal128(10, 2)),
    "when": pa.array([1, 2, 3, 4], pa.timestamp("ns", tz="UTC")),
    "span": pa.array([1, 2, 3, 4], pa.duration("s")),
    "month": pa.array([(1, 2, 3)] * 4, pa.month_day_nano_interval()),
    "view": pa.array(["a"] * 4, pa.string_view()),
    "runs": pa.RunEndEncodedArray.from_arrays([4], ["a"]),
    "union": pa.UnionArray.from_sparse(pa.array([0] * 4, pa.int8()), [pa.array(["a"] * 4)]),
    "nothing": pa.nulls(4),
    "half": pa.array(np.ones(4, np.float16)),
    "categories": pa.array(["x"] * 4).dictionary_encode(),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_column_of_an_odd_type_hurts_nobody_who_does_not_use_it(tmp_path: Path, odd: str) -> None:
    table = pa.table({**TABLE, odd: ODD[odd]})
    with (
        pa.OSFile(str(tmp_path / "val.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)
    names = ["val.arrow"]
    try:
        pq.write_table(table, tmp_path / "val.parquet")
        names.append("val.parquet")
    except pa.ArrowNotImplementedError:  # Parquet has no such type.
        pass
    for name in names:
        found = open_examples(name, directory=tmp_path, input_column="text")
        assert (inputs(found), labels(found)) == (TABLE["text"], TABLE["label"])


def test_a_column_of_an_odd_type_that_is_asked_for_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({**TABLE, "map": ODD["map"]}), tmp_path / "val.parquet")
    for asked in ({"input_column": "map"}, {"label_column": "map"}, {"group_column": "map"}):
        with pytest.raises(DataError, match="column map cannot be read: it holds map<string, string"):
            open_examples("val.parquet", directory=tmp_path, **asked)  # type: ignore[arg-type]


def test_categories_are_read_as_what_they_stand_for(tmp_path: Path) -> None:
    label = pa.array(["no", "yes"] * 2).dictionary_encode()
    pq.write_table(pa.table({"text": TABLE["text"], "label": label}), tmp_path / "val.parquet")
    assert open_examples("val.parquet", directory=tmp_path).class_names == ("no", "yes")


@pytest.mark.parametrize(
    "stored",
    [
        b"{bad",
        b"\xff",
        b"[]",
        b'{"info": 3}',
        b'{"info": {"features": {"text": {"_type": "NewKind"}}}}',
        b'{"info": {"features": {"other": {"_type": "Value", "dtype": "int64"}}}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": 7}}}}',
    ],
)
def test_a_damaged_description_of_columns_is_said_and_arrow_types_are_used(
    tmp_path: Path, stored: bytes
) -> None:
    pq.write_table(
        pa.table(TABLE).replace_schema_metadata({b"huggingface": stored}), tmp_path / "val.parquet"
    )
    found = open_examples("val.parquet", directory=tmp_path)
    assert (inputs(found), labels(found)) == (TABLE["text"], TABLE["label"])
    assert [gap.ident for gap in gaps_in(found.decisions)] == ["column-types-not-read"]


def test_a_sound_description_is_no_gap(tmp_path: Path) -> None:
    pq.write_table(pa.table(TABLE), tmp_path / "val.parquet")
    assert gaps_in(open_examples("val.parquet", directory=tmp_path).decisions) == ()


def npz(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def npy_header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize("shape", [(10**12,), (2**40, 2**40), (-1, 4), (4, 0, 10**15)])
def test_an_array_that_claims_more_than_it_has_is_refused_by_its_header(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    npz(tmp_path / "val.npz", x=npy_header(shape) + bytes(64), y=npy_header((2,), "<i8") + bytes(16))
    with pytest.raises(DataError, match=r"val\.npz cannot be read as npz"):
        list(open_examples("val.npz", directory=tmp_path))


def test_an_archive_that_swells_is_refused_before_it_does(tmp_path: Path) -> None:
    n = 66 << 20
    with (
        zipfile.ZipFile(tmp_path / "val.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        file.write(npy_header((n,)))
        for _ in range(n * 4 >> 20):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match=r"val\.npz has [\d,]+ bytes and would take 276,824,\d+"):
        open_examples("val.npz", directory=tmp_path)


def test_a_single_value_beside_arrays_is_no_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "val.npz", x=np.zeros((3, 2)), y=[0, 1, 0], seed=7)
    found = open_examples("val.npz", directory=tmp_path)
    assert labels(found) == [0, 1, 0]
    with pytest.raises(DataError, match="column seed cannot be read: it is one value"):
        open_examples("val.npz", directory=tmp_path, label_column="seed")


def test_a_parquet_file_that_swells_is_refused_by_its_footer(tmp_path: Path) -> None:
    rows = pa.table({f"x{n}": pa.nulls(1 << 20, pa.int8()) for n in range(64)})
    with pq.ParquetWriter(tmp_path / "val.parquet", rows.schema) as writer:
        for _ in range(5):
            writer.write_table(rows)
    with pytest.raises(DataError, match=r"its footer claims 5,242,880 rows of 64 columns"):
        open_examples("val.parquet", directory=tmp_path)


def test_an_image_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = (
        struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    for n in range(2):
        write(tmp_path, f"{n}.png", b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x08IDAT" + bytes(12))
    with pytest.raises(DataError, match=r"0\.png: Image size \(3600000000 pixels\)"):
        list(open_examples(".", directory=tmp_path))

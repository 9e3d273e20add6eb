from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from forgetaudit.data.images import ORIENTATION_TAG, decode_image
from forgetaudit.errors import DataError


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_bytes_mappings_and_paths_hold_the_same_image(scans: list[Image.Image], tmp_path: Path) -> None:
    stored = encoded(scans[0])
    (tmp_path / "a.png").write_bytes(stored)
    ways = [stored, {"bytes": stored, "path": "gone.png"}, {"bytes": None, "path": str(tmp_path / "a.png")}]
    assert {decode_image(way, "row 0").tobytes() for way in ways} == {scans[0].tobytes()}


def test_a_camera_that_was_held_sideways_is_put_upright(scans: list[Image.Image]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    turned = encoded(scans[0].rotate(90, expand=True), exif=exif)
    assert decode_image(turned, "row 0").tobytes() == scans[0].tobytes()


def test_a_declared_mode_is_kept(scans: list[Image.Image]) -> None:
    assert decode_image(encoded(scans[0]), "row 0", mode="RGB").mode == "RGB"
    assert decode_image(encoded(scans[0]), "row 0").mode == "L"


@pytest.mark.parametrize("damage", ["cut", "noise", "chunk"])
def test_a_damaged_image_is_refused_with_its_place(scans: list[Image.Image], damage: str) -> None:
    whole = encoded(scans[0].resize((64, 64)))
    stored = {"cut": whole[:-80], "noise": b"no image", "chunk": whole.replace(b"IDAT", b"\0DAT")}[damage]
    with pytest.raises(DataError, match="row 17 of src_val holds no image that can be read"):
        decode_image(stored, "row 17 of src_val")


def test_a_file_that_is_gone_is_named_and_not_looked_for_elsewhere() -> None:
    with pytest.raises(DataError) as refusal:
        decode_image({"bytes": None, "path": "https://example.org/a.png"}, "row 3")
    assert "https:/example.org/a.png" in refusal.value.details[0].replace("//", "/")


@pytest.mark.parametrize("stored", [None, b"", {"bytes": None, "path": None}])
def test_a_row_without_an_image_is_refused(stored: object) -> None:
    with pytest.raises(DataError, match="row 3 holds no image"):
        decode_image(stored, "row 3")

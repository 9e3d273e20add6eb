"""Stored image bytes → decoded images, with the row in the message where they are not one."""

import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from forgetaudit.errors import DataError

__all__ = ["IMAGE_SUFFIXES", "decode_image"]

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
)

# Those that Pillow decodes itself: for an EPS it would start another program.
FORMATS = (
    "PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "TGA", "PCX", "ICO",
)  # fmt: skip
ORIENTATION_TAG = 0x0112


def decode_image(stored: Any, place: str, *, mode: str | None = None) -> Image.Image:
    """The image in `stored`: encoded bytes, a path, or a mapping with `bytes` and `path`; `mode` converts it.

    Turned upright where a camera says so, as `datasets` does. A path is a local file; nothing is fetched.
    DataError naming `place` ("row 17 of src_val") where there is no image or it is damaged.
    """
    if isinstance(stored, Mapping):
        stored = stored.get("bytes") or stored.get("path")
    if not stored:
        raise DataError(f"{place} holds no image", hint="leave the row out of the data set")
    try:
        return _decoded(BytesIO(stored) if isinstance(stored, bytes) else Path(stored), mode)
    # Among what Pillow raises are SyntaxError, struct.error and an Exception of its own for a decompression bomb.
    except Exception as error:
        details = [str(error)] if isinstance(stored, bytes) else [f"{stored}: {error}"]
        hint = "repair or remove this image"
        raise DataError(f"{place} holds no image that can be read", details=details, hint=hint) from error


def _decoded(stored: BytesIO | Path, mode: str | None) -> Image.Image:
    with warnings.catch_warnings():
        # Damaged notes of a camera beside sound pixels are no matter.
        warnings.simplefilter("ignore")
        # Pillow knows by its header how large an image will be, and warns before it takes the memory.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.init()
        with Image.open(stored, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
            image.load()
            upright = ImageOps.exif_transpose(image) if _is_turned(image) else image
            return upright.convert(mode) if mode and upright.mode != mode else upright.copy()


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(ORIENTATION_TAG) is not None

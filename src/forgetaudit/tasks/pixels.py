"""Decoded images → float32 pixels in [0, 1], channels first; what a mode loses on the way is told."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from forgetaudit.errors import DataError

__all__ = ["DEEP_MODES", "conversion", "pixels"]

# What is done to the modes that are not grey or colour already. A network takes one or three channels.
CONVERSIONS = {
    "1": "black and white read as 0 and 1",
    "LA": "alpha dropped",
    "La": "alpha dropped",
    "PA": "palette read as RGB, alpha dropped",
    "P": "palette read as RGB",
    "RGBA": "alpha dropped",
    "RGBX": "padding dropped",
    "RGBa": "alpha dropped",
    "CMYK": "converted to RGB",
    "YCbCr": "converted to RGB",
    "HSV": "converted to RGB",
    "LAB": "converted to RGB",
    "I": "16 bits divided by 65535",
    "I;16": "16 bits divided by 65535",
    "I;16L": "16 bits divided by 65535",
    "I;16B": "16 bits divided by 65535",
    "F": "floating pixels taken as they are",
}

GREY_MODES = ("L", "LA", "La")
DEEP_MODES = ("I", "I;16", "I;16L", "I;16B")
DEEPEST = 65535


def conversion(mode: str) -> str | None:
    """What `pixels` does to images of this mode beyond dividing by 255; None for L and RGB."""
    return CONVERSIONS.get(mode)


def pixels(image: Image.Image) -> NDArray[np.float32]:
    """(c, h, w), float32 in [0, 1]: one channel for grey, three for colour. Sizes stay as they are."""
    if image.mode == "1":
        return np.asarray(image, dtype=np.float32)[None]
    if image.mode in DEEP_MODES:
        return _deep(image)
    if image.mode == "F":
        # A copy: torch warns of memory that it may not write to.
        return np.array(image, dtype=np.float32)[None]
    if image.mode in GREY_MODES:
        return np.asarray(_grey(image), dtype=np.float32)[None] / np.float32(255)
    if image.mode != "RGB" and image.mode not in CONVERSIONS:
        hint = "convert the images to L or RGB"
        raise DataError(f"images of mode {image.mode} are not supported", hint=hint)
    colours = np.asarray(_coloured(image), dtype=np.float32)
    return np.ascontiguousarray(colours.transpose(2, 0, 1)) / np.float32(255)


def _grey(image: Image.Image) -> Image.Image:
    return image if image.mode == "L" else image.getchannel(0)


def _coloured(image: Image.Image) -> Image.Image:
    """Alpha is dropped, not blended: the colours beneath are what most training pipelines see."""
    return image if image.mode == "RGB" else image.convert("RGB")


def _deep(image: Image.Image) -> NDArray[np.float32]:
    values = np.asarray(image)
    if values.size and not 0 <= values.min() <= values.max() <= DEEPEST:
        raise DataError(
            f"an image of mode {image.mode} holds {values.min()} to {values.max()}: more than 16 bits",
            hint="store the images with 8 or 16 bits, or as arrays of floats",
        )
    return (values.astype(np.float32) / np.float32(DEEPEST))[None]

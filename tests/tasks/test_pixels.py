import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from forgetaudit.errors import DataError
from forgetaudit.tasks.pixels import conversion, pixels

GREY = Image.fromarray(np.rint(load_digits().images[0] * 255 / 16).astype(np.uint8))
COLOUR = Image.merge("RGB", [GREY, GREY.rotate(90), GREY.rotate(180)])


def as_float(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def test_usual_modes_lose_nothing_and_nothing_is_said() -> None:
    assert np.array_equal(pixels(GREY)[0], as_float(GREY))
    assert np.array_equal(pixels(COLOUR), as_float(COLOUR).transpose(2, 0, 1))
    assert conversion("L") is conversion("RGB") is None


def test_alpha_is_dropped_and_the_colours_beneath_stay() -> None:
    transparent = COLOUR.copy()
    transparent.putalpha(0)
    assert np.array_equal(pixels(transparent), pixels(COLOUR))
    grey = GREY.convert("LA")
    grey.putalpha(Image.new("L", grey.size, 7))
    assert np.array_equal(pixels(grey), pixels(GREY))


def test_palettes_are_read_as_the_colours_they_mean() -> None:
    assert pixels(GREY.convert("P")).shape == (3, 8, 8)
    assert np.array_equal(pixels(GREY.convert("P"))[1], as_float(GREY))


def test_printers_colours_are_converted() -> None:
    cmyk = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    assert pixels(cmyk)[:, 0, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bits_are_divided_by_their_own_maximum(mode: str) -> None:
    deep = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
    deep = deep if mode == "I;16" else deep.convert("I")
    assert deep.mode == mode
    assert np.allclose(pixels(deep)[0], as_float(GREY), atol=1e-7)


def test_more_than_sixteen_bits_are_refused_with_their_range() -> None:
    with pytest.raises(DataError, match="mode I holds 0 to 70000: more than 16 bits"):
        pixels(Image.fromarray(np.array([[0, 70_000]], dtype=np.int32)))


def test_black_and_white_is_zero_and_one() -> None:
    assert set(np.unique(pixels(GREY.convert("1")))) == {0.0, 1.0}


def test_floating_pixels_stay_as_they_are() -> None:
    values = np.array([[0.5, -2.0]], dtype=np.float32)
    assert np.array_equal(pixels(Image.fromarray(values))[0], values)


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB", "I", "F"],
)
def test_every_mode_gives_one_or_three_float32_channels(mode: str) -> None:
    found = pixels(Image.new(mode, (4, 2)))
    assert found.dtype == np.float32
    assert found.shape in ((1, 2, 4), (3, 2, 4))
    assert (conversion(mode) is None) == (mode in ("L", "RGB"))

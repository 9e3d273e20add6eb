"""Images are prepared by base's own processor, for every variant, with the same bits wherever it runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models import tiny
from transformers import ViTImageProcessorPil

from forgetaudit.errors import DataError, ModelError
from forgetaudit.models.images import ImagePreparation, processor_differences

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]


def folder(path: Path, **settings: Any) -> Path:
    made = {"size": {"height": 8, "width": 8}, "image_mean": MEAN, "image_std": STD, **settings}
    ViTImageProcessorPil(**made).save_pretrained(path)
    return path


def picture(mode: str = "RGB", size: tuple[int, int] = (11, 9)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def test_an_image_becomes_what_the_librarys_processor_makes_of_it(tmp_path: Path) -> None:
    prepare = ImagePreparation(folder(tmp_path), tiny.vit().config)
    expected = ViTImageProcessorPil.from_pretrained(tmp_path)(picture(), return_tensors="pt")["pixel_values"][
        0
    ]
    assert torch.equal(prepare(picture()), expected)
    assert "base's ViTImageProcessorPil" in prepare.said
    assert "image_mean" in prepare.said


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_every_mode_of_image_is_brought_to_colour(tmp_path: Path, mode: str) -> None:
    prepare = ImagePreparation(folder(tmp_path), tiny.vit().config)
    assert prepare(picture(mode)).shape == (3, 8, 8)


def test_a_network_of_one_channel_gets_grey(tmp_path: Path) -> None:
    config = tiny.vit().config
    config.num_channels = 1
    prepare = ImagePreparation(folder(tmp_path, image_mean=[0.5], image_std=[0.5]), config)
    assert prepare(picture()).shape == (1, 8, 8)


def test_arrays_were_prepared_before(tmp_path: Path) -> None:
    prepare = ImagePreparation(folder(tmp_path), tiny.vit().config)
    values = np.random.default_rng(0).random((3, 8, 8))
    assert torch.equal(prepare(values), torch.from_numpy(values.astype(np.float32)))


def test_without_a_processor_no_image_is_guessed_at(tmp_path: Path) -> None:
    prepare = ImagePreparation(tmp_path, tiny.vit().config)
    with pytest.raises(ModelError, match=r"has no preprocessor_config\.json") as refused:
        prepare(picture())
    assert "copy that file" in str(refused.value.hint)


def test_a_processor_that_cannot_take_the_image_says_so(tmp_path: Path) -> None:
    prepare = ImagePreparation(folder(tmp_path, image_mean=[0.5], image_std=[0.5]), tiny.vit().config)
    with pytest.raises(DataError, match="cannot take an image of"):
        prepare(picture())


def test_a_processor_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "NoSuchProcessor"})
    )
    with pytest.raises(ModelError, match="cannot be made"):
        ImagePreparation(tmp_path, tiny.vit().config)


def test_code_that_a_processor_brings_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    config = {"image_processor_type": "Evil", "auto_map": {"AutoImageProcessor": "evil.Evil"}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="cannot be made"):
        ImagePreparation(tmp_path, tiny.vit().config)


def test_another_mean_or_size_is_told_and_equal_processors_are_not(tmp_path: Path) -> None:
    base, same = folder(tmp_path / "a"), folder(tmp_path / "b")
    other = folder(tmp_path / "c", image_mean=[0.0, 0.0, 0.0], resample=0)
    assert processor_differences(base, same) == ()
    (said,) = processor_differences(base, other)
    assert "image_mean [0.5, 0.4, 0.3] → [0.0, 0.0, 0.0]" in said
    assert "resample 2 → 0" in said
    assert processor_differences(base, tmp_path) == ()

"""Images as a model of transformers wants them, by base's preprocessor_config.json, with PIL and numpy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from forgetaudit.errors import DataError, ModelError
from forgetaudit.models.config_differences import changed
from forgetaudit.models.extras import import_extra
from forgetaudit.models.odd_files import first_line, refused_in_words
from forgetaudit.models.sidecars import read_sidecar
from forgetaudit.models.silence_transformers import quiet_transformers

__all__ = [
    "PROCESSOR_FILE",
    "ImagePreparation",
    "processor_differences",
    "refuse_other_than_images",
    "same_processor",
]

PROCESSOR_FILE = "preprocessor_config.json"
_WITHOUT_EFFECT = {"image_processor_type", "feature_extractor_type", "processor_class", "_processor_class"}


class ImagePreparation:
    """One image → (c, h, w) float32. An array is taken as it is: it has been prepared already.

    The processor is the library's for PIL, whether or not torchvision is there: the two differ in the last bits.
    """

    def __init__(self, folder: Path, config: Any, whose: str = "base's") -> None:
        self._folder = folder
        self._channels = getattr(config, "num_channels", None)
        self._processor = _processor(folder)
        self.said = _processor_text(folder, self._processor, whose)

    def __call__(self, content: Image.Image | np.ndarray[Any, Any]) -> Tensor:
        """ModelError where there is no processor; DataError where it cannot take the image."""
        if isinstance(content, np.ndarray):
            return torch.from_numpy(np.ascontiguousarray(content, dtype=np.float32))
        if self._processor is None:
            raise ModelError(
                f"{self._folder} has no {PROCESSOR_FILE}, so nothing says how an image is prepared for it",
                hint="copy that file from the model it was trained from; a wrong one would read as forgetting",
            )
        refuse_other_than_images(content, self._folder)
        image = content.convert("L" if self._channels == 1 else "RGB")
        try:
            pixels = self._processor(image, return_tensors="np")["pixel_values"][0]
        except Exception as error:  # a processor is what its file says, and that can be anything
            raise DataError(
                f"the image processor of {self._folder.name} cannot take an image of {content.size}, {content.mode}",
                details=[first_line(error)],
                hint=f"check {self._folder / PROCESSOR_FILE} against the images",
            ) from error
        return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))


def refuse_other_than_images(content: object, folder: Path) -> None:
    """DataError for a text, or whatever else a column of inputs may hold."""
    if not isinstance(content, Image.Image):
        raise DataError(
            f"the data hold {'text' if isinstance(content, str | tuple) else type(content).__name__}, and the"
            f" model of {folder.name} takes images",
            hint="pass images or arrays, or name their column with --input-column",
        )


def processor_differences(base: Path, tuned: Path, used: str = "base's was used for both") -> tuple[str, ...]:
    """A sentence on what tuned's processor does otherwise, and on which of them was `used`."""
    one, two = read_sidecar(base, PROCESSOR_FILE), read_sidecar(tuned, PROCESSOR_FILE)
    if one is None or two is None:
        return ()
    told = changed(one, two, without=_WITHOUT_EFFECT)
    return (f"its image processor differs: {told}; {used}",) if told else ()


def _processor(folder: Path) -> Any:
    if not (folder / PROCESSOR_FILE).is_file():
        return None
    transformers: Any = import_extra("transformers", needed_for=folder.name)
    with refused_in_words(f"the image processor of {folder} cannot be made"), quiet_transformers():
        return transformers.AutoImageProcessor.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, backend="pil"
        )


def same_processor(base: Path, tuned: Path) -> bool:
    """Whether the two folders prepare images in one way, by their files."""
    one, two = (dict(read_sidecar(folder, PROCESSOR_FILE) or {}) for folder in (base, tuned))
    return {k: v for k, v in one.items() if k not in _WITHOUT_EFFECT} == {
        k: v for k, v in two.items() if k not in _WITHOUT_EFFECT
    }


def _processor_text(folder: Path, processor: Any, whose: str) -> str:
    if processor is None:
        return f"none: {folder.name} has no {PROCESSOR_FILE}"
    settings: Mapping[str, Any] = processor.to_dict()
    told = [
        f"{key} {settings[key]}"
        for key in ("size", "image_mean", "image_std")
        if settings.get(key) is not None
    ]
    return f"{whose} {type(processor).__name__} ({', '.join(told)})"

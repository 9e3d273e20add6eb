"""What a person sees of an example in a report: a short text, or a small picture."""

import base64
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image

from forgetaudit.data.examples import Choices, Input

__all__ = ["preview"]

MOST_CHARACTERS = 280
MOST_PIXELS = 64


def preview(content: Input) -> tuple[Literal["text", "image"], str] | None:
    """("text", the first characters) or ("image", a PNG as a data URI); None where nothing can be shown."""
    if isinstance(content, Image.Image):
        return "image", _thumbnail(content)
    if isinstance(content, str):
        return "text", _short(content)
    if isinstance(content, tuple):
        return "text", " | ".join(_short(part) for part in content)
    if isinstance(content, Choices):
        return "text", _short(content.context)
    values = np.asarray(content)
    if values.ndim == 2 or (values.ndim == 3 and values.shape[0] == 1):
        return "image", _thumbnail(_grey(values.reshape(values.shape[-2:])))
    return None


def _short(text: str) -> str:
    plain = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[: MOST_CHARACTERS - 1]}…"


def _thumbnail(image: Image.Image) -> str:
    small = image.convert("L" if image.mode in ("1", "L", "I", "F", "I;16") else "RGB")
    small.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = BytesIO()
    small.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _grey(values: np.ndarray) -> Image.Image:
    """From the least value black to the largest white."""
    finite = np.nan_to_num(values.astype(np.float64))
    low, high = finite.min(), finite.max()
    scaled = (finite - low) / (high - low) if high > low else np.zeros_like(finite)
    return Image.fromarray((255 * scaled).astype(np.uint8))

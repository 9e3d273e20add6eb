"""Real scans of digits, kept in all the ways that users keep them."""

from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

N_SCANS = 24


@pytest.fixture(scope="session")
def scans() -> list[Image.Image]:
    pixels = load_digits().images[:N_SCANS]
    return [Image.fromarray(np.rint(scan * 255 / 16).astype(np.uint8)) for scan in pixels]


@pytest.fixture(scope="session")
def digits() -> list[int]:
    return [int(digit) for digit in load_digits().target[:N_SCANS]]


@pytest.fixture(scope="session")
def dataset(scans: list[Image.Image], digits: list[int]) -> datasets.Dataset:
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=[str(digit) for digit in range(10)])
    )
    return datasets.Dataset.from_dict({"image": scans, "label": digits}, features=features)


@pytest.fixture
def class_folders(tmp_path: Path, scans: list[Image.Image], digits: list[int]) -> Path:
    for number, (scan, digit) in enumerate(zip(scans, digits, strict=True)):
        folder = tmp_path / "folders" / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        scan.save(folder / f"{number}.png")
    return tmp_path / "folders"

"""The order of a run's checkpoints."""

import json
from pathlib import Path

import pytest

from forgetaudit.checkpoints.run_order import checkpoints_in, order_of_run
from forgetaudit.errors import UnreadableCheckpoint, UsageError


def folder(where: Path, name: str, step: int | None = None) -> Path:
    path = where / name
    path.mkdir()
    (path / "model.safetensors").touch()
    if step is not None:
        (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return path


def test_numbers_order_as_numbers_not_as_text(tmp_path: Path) -> None:
    paths = [folder(tmp_path, f"checkpoint-{step}") for step in (1000, 90, 200)]
    found = order_of_run(paths)
    assert found.steps == (90, 200, 1000)
    assert found.said == "by step, from their names, not in the order given"


def test_what_the_trainer_wrote_beats_the_name(tmp_path: Path) -> None:
    paths = [folder(tmp_path, "best", 300), folder(tmp_path, "checkpoint-1", 100)]
    found = order_of_run(paths)
    assert [path.name for path in found.paths] == ["checkpoint-1", "best"]
    assert found.said == "by step, from trainer_state.json, not in the order given"


def test_files_in_one_folder_do_not_share_its_state(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text('{"global_step": 5}')
    paths = [tmp_path / "step_200.safetensors", tmp_path / "step_100.safetensors"]
    for path in paths:
        path.touch()
    assert order_of_run(paths).steps == (100, 200)


@pytest.mark.parametrize(
    ("name", "step"),
    [("checkpoint-500", 500), ("global_step12", 12), ("epoch=3-step=1200.ckpt", 1200), ("ckpt_7.pt", 7)],
)
def test_the_usual_names_are_read(tmp_path: Path, name: str, step: int) -> None:
    path = tmp_path / name
    path.touch()
    assert order_of_run([path]).steps == (step,)


@pytest.mark.parametrize("name", ["model-v2", "resnet50", "tuned"])
def test_a_number_that_is_no_step_is_not_taken_for_one(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path, name)
    assert order_of_run([path]).steps == (None,)


def test_without_all_steps_the_order_given_stays_and_it_is_said(tmp_path: Path) -> None:
    paths = [folder(tmp_path, "checkpoint-2"), folder(tmp_path, "early"), folder(tmp_path, "checkpoint-1")]
    found = order_of_run(paths)
    assert found.paths == tuple(paths)
    assert found.said == "in the order given: nothing says the step of early"


def test_two_checkpoints_of_one_step_are_refused(tmp_path: Path) -> None:
    paths = [folder(tmp_path, "a", 3), folder(tmp_path, "b", 3)]
    with pytest.raises(UsageError, match="are both of step 3"):
        order_of_run(paths)


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path, "checkpoint-1")
    (path / "trainer_state.json").write_text("{")
    with pytest.raises(UnreadableCheckpoint, match=r"trainer_state.json is damaged"):
        order_of_run([path])


def test_a_folder_of_a_run_stands_for_its_checkpoints(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for step in (100, 20):
        folder(run, f"checkpoint-{step}")
    assert [path.name for path in checkpoints_in(run)] == ["checkpoint-20", "checkpoint-100"]


def test_a_checkpoint_with_others_inside_is_itself(tmp_path: Path) -> None:
    path = folder(tmp_path, "final")
    folder(path, "checkpoint-5")
    assert checkpoints_in(path) == (path,)

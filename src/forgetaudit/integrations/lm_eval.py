"""lm-eval's own harness on a model object: `--data lm-eval:TASK`."""

import importlib
import io
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from forgetaudit.errors import AuditError, DataError, ModelError
from forgetaudit.models.extras import import_extra
from forgetaudit.models.silence_transformers import quiet_transformers
from forgetaudit.models.torchvision_repair import import_torchvision
from forgetaudit.paths import as_path

__all__ = ["Harness"]

YAML = (".yaml", ".yml")
# In the name of a log, where lm-eval puts the time of a run.
WHEN = "2000-01-01T00-00-00.000000"


class Harness:
    """One task or group of lm-eval, by its name or the path of its YAML file relative to `directory`.

    ModelError with the pip command where lm-eval is not installed; DataError where it knows no such task. Whatever a
    task needs from the network is lm-eval's and `datasets`' business: HF_HUB_OFFLINE keeps both from it.
    """

    def __init__(self, task: str, directory: Path) -> None:
        import_torchvision()
        import_extra("lm_eval", needed_for=f"--data lm-eval:{task}")
        self._evaluator: Any = importlib.import_module("lm_eval.evaluator")
        self._tasks: Any = importlib.import_module("lm_eval.tasks")
        self.name = Path(task).stem if task.endswith(YAML) else task
        with _silent():
            self._asked, self._manager = self._find(
                task, as_path(task, directory, "--data") if task.endswith(YAML) else directory
            )

    def write_samples(self, model: Any, tokenizer: Any, folder: Path, *, batch_size: int) -> tuple[Path, ...]:
        """Run the task on `model`, and write what `lm_eval --log_samples` writes: a file for each task in it.

        ModelError where the model cannot be asked, DataError where the task cannot be run.
        """
        hugging: Any = importlib.import_module("lm_eval.models.huggingface")
        with _silent(), _same_random_state(), self._translated():
            try:
                asked = hugging.HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
            except Exception as error:
                raise ModelError(
                    f"lm-eval cannot run {type(model).__name__}",
                    details=[f"{type(error).__name__}: {_first_line(error)}"],
                    hint="pass a causal language model of transformers, saved with its tokenizer",
                ) from error
            with _without_git(self._evaluator):
                found = self._evaluator.simple_evaluate(
                    model=asked,
                    tasks=[self._asked],
                    task_manager=self._manager,
                    log_samples=True,
                    bootstrap_iters=0,
                )
            return tuple(
                self._written(name, samples, folder) for name, samples in sorted(found["samples"].items())
            )

    def _find(self, task: str, path: Path) -> tuple[Any, Any]:
        if task.endswith(YAML):
            if not path.is_file():
                raise DataError(f"there is no task at {task}", hint="pass the YAML file of a task")
            loader: Any = importlib.import_module("lm_eval.tasks._yaml_loader")
            with self._translated():
                config = loader.load_yaml(str(path), resolve_func=True)
                return config, self._tasks.TaskManager(include_defaults=False)
        manager = self._tasks.TaskManager()
        if task not in manager.all_tasks:
            near = manager.match_tasks([f"{task[:4]}*"])[:3]
            raise DataError(
                f"lm-eval has no task {task}",
                hint=f"did you mean {', '.join(near)}?" if near else "lm-eval ls tasks lists them all",
            )
        return task, manager

    @staticmethod
    def _written(name: str, samples: list[dict[str, Any]], folder: Path) -> Path:
        """As lm-eval writes them: its tracker turns numbers into the texts that its logs hold."""
        trackers: Any = importlib.import_module("lm_eval.loggers")
        tracker = trackers.EvaluationTracker(output_path=str(folder))
        tracker.general_config_tracker.model_name_sanitized = "samples"
        tracker.date_id = WHEN
        tracker.save_results_samples(name, samples)
        return folder / "samples" / f"samples_{name}_{WHEN}.jsonl"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except AuditError:
            raise
        except Exception as error:
            raise DataError(
                f"lm-eval cannot run the task {self.name}",
                details=[f"{type(error).__name__}: {_first_line(error)}"],
                hint="try it alone with lm_eval --tasks; without a network its data must be in the cache",
            ) from error


@contextmanager
def _silent() -> Iterator[None]:
    """Without bars and notes, which are neither report nor progress of ours."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with quiet_transformers(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _without_git(evaluator: Any) -> Iterator[None]:
    """lm-eval asks git for the version of the working directory, whose complaint goes past what can be redirected."""
    former = evaluator.get_git_commit_hash
    evaluator.get_git_commit_hash = lambda: None
    try:
        yield
    finally:
        evaluator.get_git_commit_hash = former


@contextmanager
def _same_random_state() -> Iterator[None]:
    """lm-eval seeds everything; what it found is put back."""
    python, arrays = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]

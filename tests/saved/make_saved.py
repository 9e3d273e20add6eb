"""Write the saved reports and what every format makes of them: `python -m tests.saved.make_saved [NAME…]`.

Each report is of a real command on real networks; `COMMANDS` is the whole recipe. The texts beside them are read in review.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SAVED = Path(__file__).parent
FORMATS = {"terminal": "txt", "md": "md", "html": "html", "junit": "xml", "github": "log", "csv": "csv"}

# The folder that a command is run in, and its words.
COMMANDS: dict[str, tuple[str, str]] = {
    "compare": (
        "sample_data",
        "compare base.safetensors tuned.safetensors --data src_val --max-drop 2pt --min-cka 0.8",
    ),
    "compare-language": (
        "tests/fixtures",
        "compare gpt2/base gpt2/tuned --data data/docs.jsonl --limit 40 --no-config",
    ),
    "weights": ("tests/fixtures", "weights llama/base llama/tuned --spectrum --max-distance 0.1 --no-config"),
    "trace": ("sample_data", "trace base.safetensors run --data src_val --target target_val --max-drop 2pt"),
    "locate": ("sample_data", "locate base.safetensors tuned.safetensors --data src_val"),
    "preview": (
        "tests/fixtures",
        "locate gpt2/base gpt2/tuned --data data/docs.jsonl --limit 40 --preview --no-config",
    ),
    "repair": (
        "sample_data",
        "repair base.safetensors tuned.safetensors --data src_val --target target_val"
        " --families mixture,rollback,head,stitch",
    ),
}


def made(name: str, folder: Path) -> dict[str, Any]:
    """The report of the command, run now, without what differs from run to run: times, and the day."""
    where, words = COMMANDS[name]
    path = folder / f"{name}.json"
    threads = [] if words.startswith("weights") else ["--threads", "1"]
    done = _run([*words.split(), *threads, "-q", "--output", f"json={path}"], ROOT / where)
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(f"{name}: {done.stderr}")
    report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    report["run"] = {"judged_on": "2026-12-01"}
    return report


def shown(report: Path, form: str) -> str:
    """What `show` makes of a saved report, read where no config has a rule."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        _run(["show", str(report), "--format", form, "-o", str(out)], Path(folder), check=True)
        return out.read_text("utf-8")


def _run(words: list[str], cwd: Path, *, check: bool = False) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "forgetaudit", *words],
        cwd=cwd, env=environment, capture_output=True, text=True, check=check,
    )  # fmt: skip


def main(names: list[str]) -> None:
    """Of the commands named, or of all."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names or COMMANDS:
            path = SAVED / f"{name}.json"
            text = json.dumps(made(name, Path(folder)), indent=2, ensure_ascii=False) + "\n"
            path.write_text(text, encoding="utf-8")
            for form, ending in FORMATS.items():
                (SAVED / f"{name}.{ending}").write_text(shown(path, form), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

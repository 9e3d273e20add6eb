"""init: a config that can be read, limits beside what was measured, a workflow that is one; nothing is overwritten."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import forgetaudit
from forgetaudit.cli import main
from forgetaudit.config.file import read_config
from forgetaudit.judge.saved import load_report

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "sample_data"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.json"
    path.write_text(
        forgetaudit.compare(
            SAMPLES / "base.safetensors",
            SAMPLES / "tuned.safetensors",
            data=[str(SAMPLES / "src_val")],
            model=f"{SAMPLES / 'digits.py'}:build",
        ).to_json(),
        encoding="utf-8",
    )
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def workflow(folder: Path) -> dict[str, Any]:
    path = folder / ".github" / "workflows" / "forgetaudit.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_without_a_report_it_writes_a_config_that_can_be_read(here: Path) -> None:
    assert main(["init"]) == 0
    config = read_config(here / "forgetaudit.toml")
    assert [rule.name for rule in config.policy.rules] == [
        "accuracy", "forgotten", "disagreement", "cka", "distance",
    ]  # fmt: skip
    assert list(workflow(here)["jobs"]) == ["audit"]


def test_from_a_report_the_measured_figures_stand_beside_the_limits(here: Path, saved: Path) -> None:
    assert main(["init", str(saved)]) == 0
    text = (here / "forgetaudit.toml").read_text(encoding="utf-8")
    assert "a drop of 29.0 [25.9, 32.3] pt" in text
    assert "no limit under 4.81 pt can be passed with 80 % power" in text
    assert read_config(here / "forgetaudit.toml").data["src_val"].path == str(SAMPLES / "src_val")


def test_nothing_that_is_there_is_touched(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / ".github" / "workflows").mkdir(parents=True)
    (here / ".github" / "workflows" / "forgetaudit.yml").write_text("mine")
    assert main(["init"]) == 2
    assert "is there already, and was left as it is" in capsys.readouterr().err
    assert not (here / "forgetaudit.toml").exists()
    assert main(["init", "--no-workflow"]) == 0


def test_names_in_a_report_run_nothing_and_break_no_line(here: Path, saved: Path, tmp_path: Path) -> None:
    report = load_report(saved)
    evil = 'x"\n[gate]\nconfidence = 0.6\n${{ secrets.TOKEN }}; rm -rf ~'
    inputs = report.inputs.model_copy(
        update={
            "base": report.inputs.base.model_copy(update={"path": evil}),
            "data": tuple(data.model_copy(update={"data": evil}) for data in report.inputs.data),
        }
    )
    source = tuple(section.model_copy(update={"data": evil}) for section in report.source)  # type: ignore[union-attr]
    hostile = tmp_path / "hostile.json"
    hostile.write_text(
        report.model_copy(update={"inputs": inputs, "source": source}).to_json(), encoding="utf-8"
    )
    assert main(["init", str(hostile)]) == 0
    assert read_config(here / "forgetaudit.toml").policy.confidence == 0.95
    commands = [step.get("run", "") for step in workflow(here)["jobs"]["audit"]["steps"]]
    assert not any("secrets" in command or "rm -rf" in command for command in commands)


def test_init_imports_no_torch(here: Path, saved: Path) -> None:
    code = (
        "import sys; from forgetaudit.cli import main; "
        f"code = main(['init', {str(saved)!r}]); sys.exit(code or ('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=here, check=False).returncode == 0


def test_the_action_runs_the_audit_and_ends_with_its_code(here: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert set(action["inputs"]) >= {"base", "tuned", "data", "args"}
    script = action["runs"]["steps"][1]["run"]
    told = {
        "BASE": str(SAMPLES / "base.safetensors"),
        "TUNED": str(SAMPLES / "tuned.safetensors"),
        "DATA": f"src_val={SAMPLES / 'src_val'}\n",
        "ARGS": f"--model {SAMPLES / 'digits.py'}:build --max-drop 2pt --limit 300",
        "REPORT": "out $(touch ran)",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    ran = subprocess.run(["bash", "-e", "-c", script], cwd=here, env={**os.environ, **told}, check=False)
    assert ran.returncode == 1
    assert load_report(here / "out $(touch ran)" / "forgetaudit.json").verdict.outcome == "fail"
    assert not (here / "ran").exists()


def test_init_that_was_killed_between_its_files_can_be_run_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == 0
    whole = (here / "forgetaudit.toml").read_text(encoding="utf-8")
    # As on another day.
    (here / "forgetaudit.toml").write_text(re.sub(r"\d{4}-\d\d-\d\d", "2020-01-01", whole), encoding="utf-8")
    (here / ".github" / "workflows" / "forgetaudit.yml").unlink()
    capsys.readouterr()
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "wrote .github/workflows/forgetaudit.yml\n"
    assert "2020-01-01" in (here / "forgetaudit.toml").read_text(encoding="utf-8")
    assert main(["init"]) == 2


@pytest.mark.parametrize("ready", ["forgetaudit.toml", ".github/workflows/forgetaudit.yml"])
def test_init_that_is_killed_while_it_writes_leaves_nothing_half_written_and_goes_on(
    here: Path, ready: str
) -> None:
    """A real process is stopped for good (−9) as soon as a name appears, wherever it then is."""
    whole = here / "whole"
    whole.mkdir()
    subprocess.run([sys.executable, "-m", "forgetaudit", "init"], cwd=whole, check=True, capture_output=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "forgetaudit", "init"],
        cwd=here,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (here / ready).exists() and process.poll() is None:
        pass
    process.kill()
    process.wait()
    assert main(["init"]) in (0, 2)
    for name in ("forgetaudit.toml", ".github/workflows/forgetaudit.yml"):
        assert (here / name).read_bytes() == (whole / name).read_bytes()
    assert not list(here.rglob(".*unfinished*"))


def test_a_file_in_the_way_of_the_workflow_leaves_no_config_behind(here: Path) -> None:
    (here / ".github").write_text("")
    assert main(["init"]) == 2
    assert not (here / "forgetaudit.toml").exists()


def test_a_config_of_the_users_own_is_not_taken_for_half_a_run(here: Path) -> None:
    (here / "forgetaudit.toml").write_text("")
    assert main(["init"]) == 2
    assert not (here / ".github").exists()

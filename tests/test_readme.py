"""The README's blocks are what the commands print, and its words are the program's."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from forgetaudit.config import read_config

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```console\n\$ forgetaudit (.*?)\n(.*?)```", README, re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")


def shape(text: str) -> str:
    """What is left without numbers, bars, and the data's fingerprint: other kernels may round another last digit."""
    text = re.sub(r"data [0-9a-f]{8}…", "data …", text)
    text = re.sub(r"[▏▎▍▌▋▊▉█]+", "█", text)
    return re.sub(r" +", " ", NUMBER.sub("#", text)).strip()


@pytest.mark.parametrize(("command", "printed"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_every_block_is_what_the_command_prints(forgetaudit: Any, command: str, printed: str) -> None:
    out = forgetaudit(*shlex.split(command)).out
    assert shape(out) == shape(printed)
    now, then = ([float(n.replace(",", "")) for n in NUMBER.findall(text)] for text in (out, printed))
    assert now == pytest.approx(then, rel=0.1, abs=0.02)


def test_there_are_blocks_to_compare() -> None:
    assert len(BLOCKS) >= 2


def test_the_config_in_the_readme_is_accepted(tmp_path: Path) -> None:
    block = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert block is not None
    (tmp_path / "forgetaudit.toml").write_text(block[1])
    config = read_config(tmp_path / "forgetaudit.toml")
    assert len(config.policy.rules) == len(tomllib.loads(block[1])["gate"]["rules"])


def test_the_python_in_the_readme_runs(
    sample: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    monkeypatch.chdir(sample)
    exec(compile(block[1], "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("fail ")


def test_every_option_in_the_readme_exists(forgetaudit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    known = {
        option
        for command in ("compare", "trace", "locate", "repair")
        for option in re.findall(r"--[a-z-]+", forgetaudit(command, "--help").out)
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= known

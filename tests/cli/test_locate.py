"""locate, as a user runs it: on the sample, on planted cases, and on what cannot be located."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

Tensors = dict[str, np.ndarray[Any, Any]]


def run(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    from forgetaudit.cli import main

    here = Path.cwd()
    os.chdir(folder)
    try:
        code = main(["locate", "base.safetensors", *words, "-q", "--output", "json=located.json"])
        return code, json.loads(Path("located.json").read_text())
    finally:
        os.chdir(here)


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in report["locate"][0]["players"]}


@pytest.fixture(scope="module")
def folder(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("locate") / "sample"
    shutil.copytree(sample, where, ignore=shutil.ignore_patterns("run", "src_train", "__pycache__"))
    return where


@pytest.fixture(scope="module")
def located(folder: Path) -> dict[str, Any]:
    code, report = run(folder, "tuned.safetensors", "--data", "src_val", "--limit", "400")
    assert code == 0
    return report


@pytest.fixture(scope="module")
def planted(folder: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """Base with a change planted in it, located: the rows by name."""

    def make(change: Callable[[Tensors, Tensors], None], *options: str) -> dict[str, dict[str, Any]]:
        mixed, tuned = load_file(folder / "base.safetensors"), load_file(folder / "tuned.safetensors")
        change(mixed, tuned)
        save_file(mixed, folder / "planted.safetensors")
        code, report = run(folder, "planted.safetensors", "--data", "src_val", *options)
        assert code == 0
        return rows(report)

    return make


def test_the_blocks_of_the_sample_are_named(located: dict[str, Any]) -> None:
    blamed = {name for name, row in rows(located).items() if row["blamed"]}
    assert blamed == {"block1", "block2", "block3"}
    assert list(rows(located)) == ["stem", "block1", "block2", "block3", "head", "running statistics"]


def test_shapley_values_add_up_to_the_drop_exactly(located: dict[str, Any]) -> None:
    sums = located["locate"][0]["sums"]
    assert sums["shapley"] == pytest.approx(sums["drop"], abs=1e-9)
    total = sum(row["shapley"]["estimate"] for row in rows(located).values())
    assert total == pytest.approx(sums["drop"], abs=1e-9)
    increase = located["source"][0]["nll"]["increase"]["estimate"]
    assert sum(row["shapley_nll"]["estimate"] for row in rows(located).values()) == pytest.approx(
        increase, rel=1e-6
    )


def test_single_effects_do_not_add_up_and_it_is_said(located: dict[str, Any]) -> None:
    sums = located["locate"][0]["sums"]
    assert abs(sums["rolled_back"] - sums["drop"]) > 0.1
    assert "blame-not-additive" in {found["id"] for found in located["findings"]}


def test_a_rollback_answers_as_a_checkpoint_mixed_by_hand(
    located: dict[str, Any], folder: Path, forgetaudit: Any
) -> None:
    base, tuned = load_file(folder / "base.safetensors"), load_file(folder / "tuned.safetensors")
    mine = [n for n in base if n.startswith("block3") and "running" not in n and "num_batches" not in n]
    save_file({**tuned, **{name: base[name] for name in mine}}, folder / "by_hand.safetensors")
    path = folder / "by_hand.json"
    forgetaudit(
        "compare", "base.safetensors", "by_hand.safetensors", "--data", "src_val", "--limit", "400",
        "--output", f"json={path}", cwd=folder,
    )  # fmt: skip
    compared = json.loads(path.read_text())["source"][0]
    assert rows(located)["block3"]["rolled_back"]["accuracy"] == compared["accuracy"]["tuned"]


def test_resetting_all_layers_leaves_nothing_lost(located: dict[str, Any]) -> None:
    resets = located["locate"][0]["resets"]
    assert [len(row["layers"]) for row in resets] == [1, 2, 3, 4, 1, 2, 3, 4]
    assert all(row["layers"][0] == "stem" for row in resets if row["end"] == "bottom")
    assert all(row["layers"][-1] == "head" for row in resets if row["end"] == "top")


def test_only_block2_changed_and_only_block2_is_blamed(planted: Any) -> None:
    def change(mixed: Tensors, tuned: Tensors) -> None:
        mixed |= {name: tuned[name] for name in mixed if name.startswith("block2.conv")}

    found = planted(change)
    assert list(found) == ["block2"]
    assert found["block2"]["blamed"]


def test_beside_changes_that_do_nothing_block2_alone_is_blamed(planted: Any) -> None:
    def change(mixed: Tensors, tuned: Tensors) -> None:
        rng = np.random.default_rng(0)
        for name, tensor in mixed.items():
            if name.startswith("block2.conv"):
                mixed[name] = tuned[name]
            elif tensor.dtype == np.float32:
                noise = rng.standard_normal(tensor.shape).astype(np.float32)
                mixed[name] = tensor * (1 + 1e-3 * noise)

    found = planted(change, "--limit", "500")
    assert len(found) == 6
    assert {name for name, row in found.items() if row["blamed"]} == {"block2"}
    assert {name for name, row in found.items() if row["rolled_back"]["sure"]} == {"block2"}
    assert {name for name, row in found.items() if row["kept_alone"]["sure"]} == {"block2"}


def test_statistics_alone_are_a_part_of_their_own(planted: Any) -> None:
    def change(mixed: Tensors, tuned: Tensors) -> None:
        mixed |= {name: tuned[name] for name in mixed if "running" in name}

    found = planted(change, "--limit", "400")
    assert list(found) == ["running statistics"]
    assert found["running statistics"]["kind"] == "buffers"
    assert found["running statistics"]["blamed"]


def test_where_nothing_is_lost_nothing_is_blamed(forgetaudit: Any) -> None:
    done = forgetaudit(
        "locate", "base.safetensors", "lowlr.safetensors", "--data", "src_val", "--limit", "300"
    )
    assert done.code == 0
    assert "NOT LOCATED  source accuracy fell 0.3 pt; no loss is proved" in done.out
    assert "carry the loss" not in done.out
    assert "does not add up" not in done.out


def test_finer_parts_are_told_apart_on_request_with_sampled_orders(folder: Path) -> None:
    _, report = run(
        folder, "tuned.safetensors", "--data", "src_val", "--limit", "100",
        "--layers", "block?.conv?", "--layers", "head", "--layers", "stem",
    )  # fmt: skip
    found = report["locate"][0]
    assert found["orders"] == "8 of 10! orders, each with its reverse"
    assert list(rows(report))[-2:] == ["running statistics", "rest"]
    assert found["sums"]["shapley"] == pytest.approx(found["sums"]["drop"], abs=1e-9)
    # Four draws say nothing of how far off a share is: there are shares, and no limits.
    assert all(row["shapley"]["method"] == "shapley-sampled-without-limits" for row in found["players"])
    assert all(row["shapley"]["low"] is None for row in found["players"])


def test_without_orders_there_are_no_shares_and_rollbacks_decide(folder: Path) -> None:
    _, report = run(folder, "tuned.safetensors", "--data", "src_val", "--limit", "300", "--permutations", "0")
    assert all("not_measured" in row["shapley"] for row in rows(report).values())
    assert {name for name, row in rows(report).items() if row["blamed"]} == {"block2", "block3"}


def test_reuse_changes_no_number(folder: Path) -> None:
    words = ("tuned.safetensors", "--data", "src_val", "--limit", "100", "--permutations", "0")
    with_reuse, without = (run(folder, *words, *more)[1] for more in ((), ("--no-reuse",)))
    assert with_reuse["locate"] == without["locate"]


def test_the_screen_fits_80_columns_and_reads_back(
    located: dict[str, Any], forgetaudit: Any, folder: Path
) -> None:
    from forgetaudit.renderers.terminal import render
    from forgetaudit.report.report import AuditReport

    (folder / "again.json").write_text(json.dumps(located))
    shown = forgetaudit("show", folder / "again.json")
    assert "LOCATED  source accuracy fell" in shown.out
    assert "block3" in shown.out
    narrow = render(AuditReport.model_validate(located), width=80, unicode=False)
    assert max(map(len, narrow.splitlines())) <= 80
    assert narrow.isascii()
    for name in ("md", "html", "csv", "junit"):
        assert forgetaudit("show", folder / "again.json", "--format", name).code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["base.safetensors", "--data", "src_val"], "tuned is base, bit for bit"),
        (["tuned.safetensors"], "locate needs --data"),
        (["tuned.safetensors", "--data", "src_val", "--permutations", "3"], "needs 8 orders or more"),
        (["tuned.safetensors", "--data", "src_val", "--layers", "blok*"], "matches no layer"),
        (
            ["tuned.safetensors", "--data", "target_val", "--limit", "400"],
            "nothing can be located on target_val: the labels",
        ),
        (["nothing.safetensors", "--data", "src_val"], "there is no checkpoint nothing.safetensors"),
        (["tuned.safetensors", "--data", "src_val", "--output", "json=tuned.safetensors"], "would overwrite"),
    ],
)
def test_what_cannot_be_located_is_refused(forgetaudit: Any, words: list[str], said: str) -> None:
    done = forgetaudit("locate", "base.safetensors", *words)
    assert done.code == 2
    assert done.out == ""
    assert said in done.err


def test_base_at_chance_is_refused(forgetaudit: Any, workplace: Path) -> None:
    tensors = load_file(workplace / "base.safetensors")
    rng = np.random.default_rng(0)
    tensors["head.weight"] = rng.standard_normal(tensors["head.weight"].shape).astype(np.float32) * 1e-9
    save_file(tensors, workplace / "blank.safetensors")
    done = forgetaudit(
        "locate",
        "blank.safetensors",
        "tuned.safetensors",
        "--data",
        "src_val",
        "--limit",
        "60",
        cwd=workplace,
    )
    assert done.code == 2
    assert "base is at chance on src_val" in done.err


def test_another_network_is_refused(forgetaudit: Any, workplace: Path) -> None:
    tensors = load_file(workplace / "tuned.safetensors")
    save_file(
        {f"other.{n}": t[..., :1] for n, t in tensors.items() if t.ndim}, workplace / "other.safetensors"
    )
    done = forgetaudit("locate", "base.safetensors", "other.safetensors", "--data", "src_val", cwd=workplace)
    assert done.code == 2
    assert "not versions of one network" in done.err


def test_data_without_labels_are_refused(forgetaudit: Any, workplace: Path) -> None:
    import datasets

    images = datasets.load_from_disk(str(workplace / "src_val")).select(range(40)).remove_columns("label")
    images.save_to_disk(str(workplace / "bare"))
    done = forgetaudit("locate", "base.safetensors", "tuned.safetensors", "--data", "bare", cwd=workplace)
    assert done.code == 2
    assert "which answers are right, and bare has no labels" in done.err

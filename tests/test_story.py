"""End to end on the sample: what was planted is found, where it was planted, and nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file


def ids(report: dict[str, Any]) -> set[str]:
    return {finding["id"] for finding in report["findings"]}


def layers(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {layer["layer"]: layer for layer in report["features"][0]["layers"]}


def same_but_for_time(left: dict[str, Any], right: dict[str, Any], *settings: str) -> None:
    for report in (left, right):
        report.pop("run")
        for name in settings:
            report["inputs"]["settings"].pop(name)
    assert left == right


def test_the_forgetful_fine_tune_fails_and_says_by_how_much(audited: Any) -> None:
    run, report = audited("tuned.safetensors", "--max-drop", "2pt")
    assert run.code == 1
    assert run.out.splitlines()[1].startswith("FAIL  source accuracy fell 29.0 pt, at least 26.4")
    assert report["verdict"]["outcome"] == "fail"
    assert ids(report) >= {"drop-proved", "classes-fell", "layer-drifts-most"}


def test_no_fail_says_the_same_and_ends_with_0(audited: Any) -> None:
    run, report = audited("tuned.safetensors", "--max-drop", "2pt", "--no-fail")
    assert (run.code, report["verdict"]["exit_code"]) == (0, 1)
    assert "exit 0 (--no-fail; the verdict asks for 1)" in run.out


def test_a_low_rate_forgets_little_and_passes(audited: Any) -> None:
    run, report = audited("lowlr.safetensors", "--max-drop", "2pt")
    assert (run.code, report["verdict"]["outcome"]) == (0, "pass")
    assert "drop-proved" not in ids(report)


def test_a_properly_frozen_featurizer_is_proved_still_and_the_loss_is_the_heads(audited: Any) -> None:
    _, report = audited(
        "frozen-eval.safetensors", "--max-drop", "2pt", "--frozen", "stem", "--frozen", "block*"
    )
    assert {layer["cka"]["kind"] for layer in layers(report).values()} == {"exact"}
    assert {layer["cka"]["estimate"] for layer in layers(report).values()} == {1.0}
    assert ids(report) >= {"frozen-part-verified", "loss-in-head"}
    assert "frozen-buffers-moved" not in ids(report)
    frozen = next(rule for rule in report["verdict"]["rules"] if rule["rule"] == "frozen")
    assert frozen["outcome"] == "pass"


def test_a_frozen_backbone_in_training_mode_is_found_out(audited: Any) -> None:
    run, report = audited("frozen.safetensors", "--frozen", "block1")
    assert run.code == 1
    assert "frozen-buffers-moved" in ids(report)
    assert "the frozen part was not frozen" in run.out
    assert not ids(report) & {"frozen-part-verified", "loss-in-head"}


def test_base_against_base_is_exactly_0_everywhere_and_never_fails(audited: Any) -> None:
    limits = [
        "--max-drop",
        "0pt",
        "--min-cka",
        "1",
        "--max-distance",
        "0",
        "--frozen",
        "*",
        "--fail-when",
        "likely",
    ]
    run, report = audited("base.safetensors", *limits, "--on-inconclusive", "fail")
    assert (run.code, report["verdict"]["outcome"]) == (0, "pass")
    source = report["source"][0]
    assert source["accuracy"]["drop"] == {**source["accuracy"]["drop"], "kind": "exact", "estimate": 0.0}
    assert source["nll"]["increase"]["estimate"] == 0.0
    assert source["flips"]["forgotten"] == source["flips"]["gained"] == 0
    assert all(layer["cka"]["estimate"] == 1.0 for layer in layers(report).values())
    assert report["weights"][0]["total"]["distance"] == 0.0
    assert ids(report) == {"identical"}


def altered(path: Path, name: str, change: Any) -> Path:
    tensors = {key: change(key, value.copy()) for key, value in load_file(path / "base.safetensors").items()}
    save_file(tensors, path / name)
    return path / name


def random_weights(name: str, value: np.ndarray) -> np.ndarray:
    if value.dtype.kind != "f" or "running" in name:
        return value
    return np.random.default_rng(len(name)).normal(0, 0.1, value.shape).astype(value.dtype)


def flipped_bits(name: str, value: np.ndarray) -> np.ndarray:
    """The highest exponent bit of a few weights: what a bad copy does."""
    if name.endswith("conv1.weight"):
        value.view(np.uint32).reshape(-1)[::50] ^= np.uint32(1 << 30)
    return value


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (random_weights, {"not-one-lineage"}),
        (lambda name, value: value * 0 if value.dtype.kind == "f" else value, {"zeroed-weights"}),
        (
            lambda name, value: value * np.float32("nan") if value.dtype.kind == "f" else value,
            {"nonfinite-weights", "nonfinite-outputs"},
        ),
        (flipped_bits, {"exploded-weights"}),
    ],
    ids=["random", "zeroed", "nan", "bit-flipped"],
)
def test_destroyed_weights_never_pass_and_are_called_what_they_are(
    audited: Any, workplace: Path, change: Any, told: set[str]
) -> None:
    run, report = audited(
        altered(workplace, "broken.safetensors", change), "--max-drop", "2pt", cwd=workplace
    )
    assert run.code == 1
    assert ids(report) >= told
    assert "NaN" not in (workplace.parent / "report.json").read_text().replace("NaN or infinite", "")


def test_a_healthy_fine_tune_is_not_called_broken(audited: Any) -> None:
    for name in ("tuned", "lowlr", "frozen"):
        _, report = audited(f"{name}.safetensors")
        assert not ids(report) & {
            "not-one-lineage",
            "zeroed-weights",
            "nonfinite-weights",
            "exploded-weights",
        }


def test_an_untrained_base_cannot_be_judged(audited: Any, workplace: Path) -> None:
    fresh = altered(workplace, "fresh.safetensors", random_weights)
    shutil.move(fresh, workplace / "base.safetensors")
    run, report = audited("base.safetensors", "--max-drop", "2pt", cwd=workplace)
    assert (run.code, report["verdict"]["outcome"]) == (2, "refused")
    assert "base-at-chance" in ids(report)
    assert "REFUSED  base is at chance" in run.out


def test_a_shuffled_label_map_cannot_hide_a_loss(audited: Any, workplace: Path) -> None:
    def moved(name: str, value: np.ndarray) -> np.ndarray:
        return np.roll(value, 1, axis=0) if name.startswith("head") else value

    (altered(workplace, "base2.safetensors", moved)).replace(workplace / "base.safetensors")
    run, report = audited("tuned.safetensors", "--max-drop", "2pt", "--no-fail", cwd=workplace)
    assert run.code == 2
    assert "labels-do-not-fit" in ids(report)


def test_a_replaced_head_takes_bases_and_says_so(audited: Any, workplace: Path) -> None:
    def wider(name: str, value: np.ndarray) -> np.ndarray:
        return np.concatenate([value, value[:2]]) if name.startswith("head") else value

    altered(workplace, "wide.safetensors", wider)
    _, report = audited("wide.safetensors", "--max-drop", "2pt", cwd=workplace)
    assert "head-replaced" in ids(report)
    assert report["source"][0]["flips"]["forgotten"] == 0
    assert report["source"][0]["known"] is False


def test_a_cast_is_not_a_fine_tune(audited: Any, workplace: Path) -> None:
    altered(
        workplace,
        "half.safetensors",
        lambda _, value: value.astype(np.float16) if value.dtype.kind == "f" else value,
    )
    _, report = audited("half.safetensors", cwd=workplace)
    assert "only-a-cast" in ids(report)


def test_reuse_changes_nothing_but_its_own_setting(audited: Any) -> None:
    for name in ("tuned", "frozen-eval"):
        same_but_for_time(
            audited(f"{name}.safetensors")[1], audited(f"{name}.safetensors", "--no-reuse")[1], "reuse"
        )


def test_two_runs_are_byte_identical_but_for_the_run(audited: Any, tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        audited("tuned.safetensors", "--max-drop", "2pt", "--limit", "300")
        report = json.loads((tmp_path / "report.json").read_text())
        report.pop("run")
        texts.append(json.dumps(report))
    assert texts[0] == texts[1]


def test_batch_size_changes_no_flip_and_no_number_beyond_rounding(audited: Any) -> None:
    reports = [audited("tuned.safetensors", "--batch-size", str(size))[1] for size in (1, 7, 64)]
    for report in reports[:2]:
        assert report["source"][0]["flips"] == reports[2]["source"][0]["flips"]
        assert report["source"][0]["nll"]["tuned"] == pytest.approx(
            reports[2]["source"][0]["nll"]["tuned"], abs=1e-6
        )
        for layer, drift in layers(report).items():
            assert drift["cka"]["estimate"] == pytest.approx(
                layers(reports[2])[layer]["cka"]["estimate"], abs=1e-6
            )


def test_several_fine_tunes_are_audited_in_one_stream(forgetaudit: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    run = forgetaudit(
        "compare", "base.safetensors", "tuned.safetensors", "lowlr.safetensors", "--data", "src_val",
        "--max-drop", "2pt", "--output", f"json={path}",
    )  # fmt: skip
    report = json.loads(path.read_text())
    assert run.code == 1
    assert [variant["name"] for variant in report["variants"]] == ["base", "tuned", "lowlr"]
    outcomes = {rule["variant"]: rule["outcome"] for rule in report["verdict"]["rules"]}
    assert outcomes == {"tuned": "fail", "lowlr": "pass"}
    rivals = report["rivals"][0]
    assert (rivals["first"], rivals["second"]) == ("tuned", "lowlr")
    assert rivals["only_second_right"] - rivals["only_first_right"] == 787 - 559
    assert rivals["advantage_of_first"]["estimate"] == pytest.approx((559 - 787) / 797)
    assert "lowlr is 28.6 pt better on src_val than tuned" in run.out
    words = ["compare", "base.safetensors", "tuned.safetensors", "lowlr.safetensors", "--data", "src_val"]
    quiet = forgetaudit(*words, "--max-drop", "2pt", "--quiet").out.splitlines()
    assert [line.split("  ")[0] for line in quiet] == ["tuned: FAIL", "lowlr: PASS"]


def test_without_data_the_weights_are_compared_and_a_rule_on_accuracy_cannot_pass(forgetaudit: Any) -> None:
    run = forgetaudit(
        "compare", "base.safetensors", "tuned.safetensors", "--max-drop", "2pt", "--on-inconclusive", "fail"
    )
    assert run.code == 3
    assert "not measured: no data were passed (--data)" in run.out


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_the_models_run_in_the_dtype_that_is_asked_for(audited: Any, dtype: str) -> None:
    _, report = audited("tuned.safetensors", "--dtype", dtype, "--limit", "100")
    assert report["inputs"]["settings"]["dtype"] == dtype
    assert report["source"][0]["accuracy"]["base"] > 0.95


def test_code_that_exits_does_not_decide_the_exit_code(forgetaudit: Any, workplace: Path) -> None:
    source = "import sys\nfrom digits import DigitNet\nclass Leaves(DigitNet):\n    def forward(self, x):\n        sys.exit(0)\n"
    (workplace / "leaves.py").write_text(
        source + "def build():\n    return Leaves()\ndef gone():\n    sys.exit(0)\n"
    )
    for factory in ("build", "gone"):
        words = ["compare", "base.safetensors", "tuned.safetensors", "--data", "src_val"]
        run = forgetaudit(*words, "--model", f"leaves.py:{factory}", cwd=workplace)
        assert run.code == 2
        assert "SystemExit: 0" in run.err


def test_what_a_forward_prints_is_not_part_of_the_report(forgetaudit: Any, workplace: Path) -> None:
    source = "from digits import DigitNet\nclass Talks(DigitNet):\n    def forward(self, x):\n        print('hello')\n"
    (workplace / "talks.py").write_text(source + "        return super().forward(x)\nbuild = Talks\n")
    words = ["compare", "base.safetensors", "tuned.safetensors", "--data", "src_val", "--limit", "70"]
    run = forgetaudit(*words, "--model", "talks.py:build", cwd=workplace)
    assert "hello" not in run.out
    assert "hello" in run.err

"""What files and options tell of a run, and what is assumed where they are silent."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from forgetaudit.budget.clues import Clues
from forgetaudit.budget.find_log import clues_beside, clues_of
from forgetaudit.budget.run import Run, settle
from forgetaudit.budget.schedules import fill_gaps, scheduled
from forgetaudit.errors import UnreadableCheckpoint, UnsafeCheckpoint
from forgetaudit.values import NotMeasured

RUN = Path(__file__).parents[2] / "sample_data" / "run"
LINEAR = [1e-3 * (1 - step / 50) for step in range(50)]


def told(*paths: Path, asked: Clues | None = None) -> Run:
    run = settle(asked or Clues(), *(clues for path in paths for clues in clues_of(path)))
    assert isinstance(run, Run), run
    return run


def saved(tmp_path: Path, optimizer: torch.optim.Optimizer, n_steps: int = 3) -> Path:
    for _ in range(n_steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    return tmp_path / "optimizer.pt"


def state(tmp_path: Path, rates: dict[int, float], **more: Any) -> Path:
    history = [{"step": step, "learning_rate": rate} for step, rate in rates.items()]
    text = {"global_step": max(rates), "max_steps": max(rates), "log_history": history} | more
    (tmp_path / "trainer_state.json").write_text(json.dumps(text))
    return tmp_path / "trainer_state.json"


def test_the_samples_log_tells_everything() -> None:
    run = told(RUN / "training_log.json")
    assert (run.optimizer, run.n_steps, run.dtype, run.assumed) == ("adamw", 120, "float32", ())
    assert run.groups[0].betas == (0.9, 0.999)
    assert run.groups[0].decay == 0.01
    assert sum(run.groups[0].rates) == pytest.approx(0.061)


def test_a_trainers_state_tells_steps_and_rates_and_the_rest_is_assumed_and_said() -> None:
    run = told(RUN / "checkpoint-40")
    assert (run.n_steps, run.n_planned, run.sources) == (40, 120, ("trainer_state.json",))
    assert set(run.assumed) == {
        "AdamW, the usual optimizer",
        "betas 0.9 and 0.999",
        "an epsilon of 1e-08",
        "weight decay of at most 0.01",
        "that the first step's rate was no higher than the first one logged",
        "one learning rate for every weight",
        "weights kept in the dtype that they are saved in while training",
    }


def test_the_bound_of_a_state_is_one_whichever_step_the_trainer_meant() -> None:
    exact, state_ = told(RUN / "training_log.json"), told(RUN / "checkpoint-120")
    assert all(a >= b for a, b in zip(state_.groups[0].rates, exact.groups[0].rates, strict=True))
    assert sum(state_.groups[0].rates) == pytest.approx(sum(exact.groups[0].rates), rel=0.02)


def test_an_optimizers_file_tells_of_its_last_step_and_of_its_own_groups(tmp_path: Path) -> None:
    weights = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(3))]
    groups = [{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.0}]
    saved(tmp_path, torch.optim.AdamW(groups, lr=1e-3, betas=(0.8, 0.95), weight_decay=0.1))
    state(tmp_path, dict(enumerate(LINEAR, 1)))
    (tmp_path / "training_args.bin").write_bytes(b"\x80\x04cos\nsystem\n.")
    run = told(tmp_path)
    assert set(run.assumed) == {
        "that the first step's rate was no higher than the first one logged",
        "learning rates of the 2 parameter groups in proportion to the first one's",
        "the settings of the last step, which are those in the optimizer's file, in every step",
        "that it trained every weight whose shape it holds",
    }
    assert run.dtype == "float32"
    assert run.notes == ("training_args.bin is a pickle, and was not opened",)
    # Its optimizer may have started again on the way: the log has more steps.
    assert run.n_steps == 50
    assert [group.decay for group in run.groups] == [0.1, 0.0]
    assert [group.betas for group in run.groups] == [(0.8, 0.95)] * 2
    assert run.groups_of("a.bias", (3,)) == (run.groups[1],)
    assert run.groups_of("a.weight", (3, 2)) == (run.groups[0],)
    assert run.groups_of("merged.weight", (7, 7)) == ()


def test_named_parameters_find_their_group(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    named = dict(layer.named_parameters())
    groups = [
        {"params": [("weight", named["weight"])], "lr": 1e-3},
        {"params": [("bias", named["bias"])], "lr": 2e-3, "weight_decay": 0.0},
    ]
    path = saved(tmp_path, torch.optim.AdamW(groups))
    run = told(path, state(tmp_path, {1: 1e-3, 2: 1e-3, 3: 1e-3}))
    (group,) = run.groups_of("bias", (2,))
    assert (group.decay, group.rates) == (0.0, (2e-3, 2e-3, 2e-3))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda p: torch.optim.AdamW(p), "adamw"),
        (lambda p: torch.optim.Adam(p, amsgrad=True), "adam"),
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), "sgd"),
    ],
)
def test_the_optimizer_is_told_by_its_file(make: Any, name: str, tmp_path: Path) -> None:
    path = saved(tmp_path, make([torch.nn.Parameter(torch.ones(3, 2))]))
    run = told(path, asked=Clues(peak=0.1, n_steps=3, clip=1.0))
    assert run.optimizer == name


@pytest.mark.parametrize(
    "make",
    [
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.Adamax,
        torch.optim.Adafactor,
        torch.optim.RMSprop,
        torch.optim.Muon,
    ],
)
def test_no_bound_is_claimed_for_other_optimizers(make: Any, tmp_path: Path) -> None:
    path = saved(tmp_path, make([torch.nn.Parameter(torch.ones(3, 2))]))
    found = settle(Clues(peak=0.1), *clues_of(path))
    assert isinstance(found, NotMeasured)
    assert found.reason.startswith("no bound is known for")


def test_an_8_bit_adam_is_not_taken_for_adam(tmp_path: Path) -> None:
    group = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))]).state_dict()["param_groups"]
    eight = {
        "state": {0: {"step": 3, "state1": torch.ones(2), "qmap1": torch.ones(2)}},
        "param_groups": group,
    }
    torch.save(eight, tmp_path / "optimizer.pt")
    assert isinstance(settle(Clues(peak=0.1), *clues_of(tmp_path)), NotMeasured)


def test_older_adams_that_do_not_say_which_they_are_get_a_bound_for_both(tmp_path: Path) -> None:
    path = saved(tmp_path, torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], weight_decay=0.5))
    loaded = torch.load(path, weights_only=True)
    del loaded["param_groups"][0]["decoupled_weight_decay"]
    torch.save(loaded, path)
    rates = Clues(peak=0.1, n_steps=50, schedule="constant")
    either = told(path, asked=rates)
    assert either.optimizer == "adam or adamw"
    for name in ("adam", "adamw"):
        sure = told(path, asked=Clues(optimizer=name, peak=0.1, n_steps=50, schedule="constant"))
        for size in (0.0, 0.3, 9.0):
            assert either.travel(either.groups[0]).of(size) >= sure.travel(sure.groups[0]).of(size)


def test_sgd_without_clipping_needs_the_norm_of_every_gradient(tmp_path: Path) -> None:
    path = saved(tmp_path, torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1, momentum=0.9))
    rows = [{"step": step, "learning_rate": 0.1, "grad_norm": 2.0} for step in (1, 2, 3)]
    state(tmp_path, {3: 0.1}, log_history=rows)
    assert told(path, tmp_path / "trainer_state.json").gradients == (2.0, 2.0, 2.0)
    state(tmp_path, {3: 0.1}, log_history=[*rows[:2], {"step": 3, "learning_rate": 0.1}])
    found = settle(Clues(), *clues_of(tmp_path))
    assert isinstance(found, NotMeasured)
    assert "--clip" in found.reason
    assert told(tmp_path, asked=Clues(clip=1.0)).gradients == (1.0, 1.0, 1.0)


def test_between_logged_steps_stands_the_larger_neighbour() -> None:
    assert fill_gaps({3: 0.3, 6: 0.6, 9: 0.1}, 9) == (0.3,) * 3 + (0.6,) * 5 + (0.1,)
    assert fill_gaps({3: 0.3, 6: 0.6, 9: 0.1}, 10, peak=0.8) == (
        0.3,
        0.3,
        0.3,
        0.8,
        0.8,
        0.6,
        0.8,
        0.8,
        0.1,
        0.1,
    )


@pytest.mark.parametrize("every", [1, 5, 7, 20])
@pytest.mark.parametrize("n_warmup", [0, 12])
@pytest.mark.parametrize("name", ["linear", "cosine", "constant"])
def test_a_log_with_gaps_never_has_a_rate_too_low(name: Any, n_warmup: int, every: int) -> None:
    rates = scheduled(name, 1e-3, 100, n_warmup)
    logged = {step: rates[step - 1] for step in range(every, 101, every)}
    filled = fill_gaps(logged, 100, peak=1e-3)
    assert all(guess >= rate for guess, rate in zip(filled, rates, strict=True))


def test_a_peak_that_may_lie_between_logged_steps_is_an_assumption(tmp_path: Path) -> None:
    run = told(state(tmp_path, {10: 8e-4, 20: 6e-4, 30: 4e-4}))
    assert "that the highest rate is one of those logged" in run.assumed
    path = saved(tmp_path, torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))], lr=4e-4), 30)
    loaded = torch.load(path, weights_only=True)
    loaded["param_groups"][0]["initial_lr"] = 1e-3
    torch.save(loaded, path)
    run = told(tmp_path)
    assert "that the highest rate is one of those logged" not in run.assumed
    assert "that between logged steps the rate rose and fell but once" in run.assumed
    assert run.groups[0].rates[:9] == (1e-3,) * 9


def test_rates_that_rise_again_between_gaps_are_an_assumption_and_without_gaps_none(tmp_path: Path) -> None:
    again = {1: 3e-4, 3: 1e-4, 5: 2e-4}
    said = "that between logged steps the rate was below one of both"
    assert said in told(state(tmp_path, again)).assumed
    assert said not in told(state(tmp_path, again | {2: 2e-4, 4: 3e-4})).assumed
    once = told(state(tmp_path, {1: 1e-4, 2: 2e-4, 3: 3e-4, 4: 2.5e-4, 6: 1e-4})).assumed
    assert said not in once
    assert "that between logged steps the rate rose and fell but once" in once


def test_after_the_last_logged_step_the_optimizers_own_rate_is_the_other_neighbour(tmp_path: Path) -> None:
    rates = {1: 1e-3, 2: 9e-4}
    alone = told(state(tmp_path, rates, global_step=4))
    assert "that the rate did not rise after the last one logged" in alone.assumed
    path = saved(tmp_path, torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))], lr=8e-4), 4)
    run = told(path, tmp_path / "trainer_state.json")
    assert run.groups[0].rates == (1e-3, 1e-3, 9e-4, 9e-4)


@pytest.mark.parametrize("n_warmup", [0, 10])
def test_schedules_are_nowhere_below_those_of_transformers(n_warmup: int) -> None:
    from transformers import optimization

    makers = {
        "constant": optimization.get_constant_schedule_with_warmup,
        "linear": optimization.get_linear_schedule_with_warmup,
        "cosine": optimization.get_cosine_schedule_with_warmup,
    }
    for name, make in makers.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
        more = {} if name == "constant" else {"num_training_steps": 60}
        theirs = make(optimizer, num_warmup_steps=n_warmup, **more)
        real = []
        for _ in range(60):
            real.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            theirs.step()
        ours = scheduled(name, 0.5, 60, n_warmup)  # type: ignore[arg-type]
        assert all(a >= b - 1e-15 for a, b in zip(ours, real, strict=True))
        # Counting warm-up from 0 or from 1 is all that differs: one step at the highest rate.
        assert sum(ours) <= sum(real) + (0.5 if n_warmup else 0.0) + 1e-12


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("log.jsonl", '{"step": 1, "learning_rate": 0.1}\n\n{"step": 2, "lr": 0.2}\n'),
        ("log.csv", "step,lr,loss\n1,0.1,x\n2,0.2,\n"),
        ("log.tsv", "global_step\tlearning_rate\n1\t0.1\n2\t0.2\n"),
        ("log.json", '{"optimizer": "adamw_torch", "learning_rates": [0.1, 0.2]}'),
    ],
)
def test_logs_of_every_form_tell_their_rates(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert told(tmp_path / name).groups[0].rates == (0.1, 0.2)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("log.jsonl", "step 1\n", "is not a JSON object"),
        ("log.csv", "a,b\n1,2\n", "has no learning rates"),
        ("log.json", "{}", "has no learning rates"),
        ("log.json", "[1]", "is not a JSON object"),
        ("log.json", '{"learning_rates": [0.1, -1]}', "has -1 for the learning rate of step 2"),
        ("log.json", '{"learning_rates": [NaN]}', "has nan for the learning rate"),
        (
            "trainer_state.json",
            '{"global_step": 1, "log_history": [{"step": 1, "lr": "x"}]}',
            "has 'x' for the",
        ),
        ("optimizer.pt", "no torch file", "optimizer.pt"),
    ],
)
def test_what_is_no_log_is_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnreadableCheckpoint) as refused:
        told(tmp_path / name)
    assert said in str(refused.value)


def test_a_folder_without_a_log_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match=r"neither optimizer\.pt nor trainer_state\.json"):
        clues_of(tmp_path)


def test_code_in_an_optimizers_file_is_refused_and_beside_weights_noted(tmp_path: Path) -> None:
    torch.save({"param_groups": [Path("x")], "state": {}}, tmp_path / "optimizer.pt")
    with pytest.raises(UnsafeCheckpoint):
        clues_of(tmp_path)
    (clues,) = clues_beside(tmp_path)
    assert "is of no use" in clues.notes[0]


@pytest.mark.parametrize("steps", [2**64, 10**18, 10**13, 10**400])
def test_a_log_of_endless_steps_keeps_nobody_busy(steps: int, tmp_path: Path) -> None:
    found = settle(Clues(), *clues_of(state(tmp_path, {1: 0.1}, global_step=steps)))
    assert isinstance(found, NotMeasured)
    assert "more than the" in found.reason


@pytest.mark.parametrize("betas", [(1.0, 0.999), (0.9, 1.0), (0.9, 0.0)])
def test_betas_that_give_no_bound_are_said(betas: tuple[float, float]) -> None:
    found = settle(Clues(peak=0.1, n_steps=9, betas=betas, optimizer="adam"))
    assert isinstance(found, NotMeasured)
    assert "betas" in found.reason


def test_a_bound_beyond_all_numbers_is_none() -> None:
    found = settle(Clues(peak=0.1, n_steps=9_000, betas=(0.99, 0.5), optimizer="adam"))
    assert isinstance(found, NotMeasured)


def test_a_log_beside_one_of_several_weights_is_not_taken_for_theirs(tmp_path: Path) -> None:
    state(tmp_path, {1: 0.1})
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert clues_beside(tmp_path / "model.safetensors")
    (tmp_path / "other.safetensors").write_bytes(b"")
    assert clues_beside(tmp_path / "model.safetensors") == ()


def group(**options: Any) -> dict[str, Any]:
    return {"params": [0], "lr": 0.1, "weight_decay": 0.0} | options


ADAM = {"betas": (0.9, 0.999), "eps": 1e-8}
AVERAGES = {"exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2), "step": torch.tensor(3.0)}


@pytest.mark.parametrize(
    ("options", "kept", "name"),
    [
        (ADAM, {"state1": torch.ones(2), "qmap1": torch.ones(2), "absmax1": torch.ones(1), "step": 3}, "8-bit Adam"),
        (ADAM, {"state1": torch.ones(2), "state2": torch.ones(2), "step": 3}, "an optimizer of bitsandbytes"),
        ({"scale_parameter": True, "relative_step": True}, {"exp_avg_sq_row": torch.ones(2)}, "Adafactor"),
        ({"momentum": 0.95, "nesterov": True, "ns_steps": 5}, {"momentum_buffer": torch.ones(2)}, "Muon"),
        (ADAM | {"rank": 4, "update_proj_gap": 200, "proj_type": "std"}, AVERAGES, "GaLore"),
        ({"momentum": 0.9, "beta": 0.0, "eps": 1e-30}, {"accumulator_0": torch.ones(2)}, "SM3"),
        ({"momentum": 0.0, "epsilon": 1e-4}, {"precond_0": torch.ones(2, 2)}, "Shampoo"),
        (ADAM | {"weight_lr_power": 2.0, "train_mode": True, "k": 3}, {"z": torch.ones(2)}, "a schedule-free optimizer"),
        (ADAM | {"d_coef": 1.0, "d0": 1e-6, "growth_rate": 2.0}, AVERAGES, "Prodigy"),
        (ADAM | {"d0": 1e-6, "growth_rate": 2.0}, AVERAGES, "D-Adaptation"),
        (ADAM | {"precondition_frequency": 10}, AVERAGES, "SOAP"),
        (ADAM | {"trust_clip": False, "always_adapt": False}, AVERAGES, "LAMB"),
        ({"momentum": 0.9, "nesterov": False, "trust_coefficient": 1e-3}, {"momentum_buffer": torch.ones(2)}, "LARS"),
        ({"betas": (0.9, 0.99), "caution": True}, {"exp_avg": torch.ones(2)}, "a cautious optimizer"),
    ],
)  # fmt: skip
def test_what_no_bound_is_known_for_is_named_and_not_taken_for_adam(
    options: dict[str, Any], kept: dict[str, Any], name: str, tmp_path: Path
) -> None:
    torch.save({"state": {0: kept}, "param_groups": [group(**options)]}, tmp_path / "optimizer.pt")
    found = settle(Clues(peak=0.1), *clues_of(tmp_path))
    assert isinstance(found, NotMeasured)
    assert found.reason.startswith(f"no bound is known for {name}")


@pytest.mark.parametrize(
    "name", ["adamw_bnb_8bit", "Adafactor", "torch.optim.Muon", "galore_adamw", "prodigy"]
)
def test_a_log_that_names_such_a_one_is_not_described_by_adams_settings(name: str, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps({"optim": name, "learning_rates": [0.1, 0.2]}))
    found = settle(Clues(), *clues_of(tmp_path / "log.json"))
    assert isinstance(found, NotMeasured)
    assert found.reason.startswith(f"no bound is known for {name}")


@pytest.mark.parametrize("name", ["adamw_torch_fused", "AdamW", "torch.optim.AdamW", "adamw_apex_fused"])
def test_other_spellings_of_adamw_are_adamw(name: str, tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps({"optim": name, "learning_rates": [0.1, 0.2]}))
    assert told(tmp_path / "log.json").optimizer == "adamw"


def test_an_optimizers_averages_tell_what_the_weights_were_kept_in(tmp_path: Path) -> None:
    path = saved(tmp_path, torch.optim.AdamW([torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))]))
    run = told(path, asked=Clues(peak=0.1))
    assert run.dtype == "bfloat16"


def test_a_rate_that_one_cycle_reaches_later_is_the_peak(tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))], betas=(0.9, 0.999))
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=9)
    run = told(saved(tmp_path, optimizer), asked=Clues(n_steps=9, logged={1: 0.02, 9: 0.01}))
    assert max(run.groups[0].rates) == 0.5
    assert (run.groups[0].lowest, run.groups[0].betas) == (0.85, (0.95, 0.999))


def test_the_steps_of_a_table_that_start_again_are_added_up(tmp_path: Path) -> None:
    rows = [f"{step},0.{step}" for step in (1, 2, 3, 1, 2)]
    (tmp_path / "log.csv").write_text("\n".join(["step,lr", *rows]))
    run = told(tmp_path / "log.csv")
    assert run.groups[0].rates == (0.1, 0.2, 0.3, 0.1, 0.2)
    assert run.notes == ("the steps of log.csv start again on the way: its parts were added up",)


@pytest.mark.parametrize("order", [(3, 2, 1), (2, 1, 3), (1, 2, 3)])
def test_rows_that_are_only_out_of_order_are_sorted(order: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("\n".join(["step,lr", *(f"{step},0.{step}" for step in order)]))
    run = told(tmp_path / "log.csv")
    assert run.groups[0].rates == (0.1, 0.2, 0.3)
    assert run.notes == ()


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lion"])
def test_a_billion_steps_take_no_memory_that_grows_with_them(schedule: Any, optimizer: str) -> None:
    asked = Clues(peak=1e-9, n_steps=10**9, schedule=schedule, n_warmup=10**6, optimizer=optimizer, clip=1.0)
    run = settle(asked)
    assert isinstance(run, Run)
    assert run.n_steps == 10**9
    assert len(run.groups[0].rates.stretches) <= 10_001


def test_a_long_schedule_in_blocks_is_nowhere_below_the_short_one() -> None:
    for name in ("linear", "cosine"):
        rates = scheduled(name, 1.0, 10**7, 10**5)  # type: ignore[arg-type]
        total = sum(rate * n for rate, n in rates.stretches)
        assert rates.n_steps == 10**7
        # Warm-up and decay take half of the peak on average.
        assert 0.5 * 10**7 <= total <= 0.5 * 10**7 * 1.001
        assert max(rate for rate, _ in rates.stretches) == 1.0


def test_a_plan_of_more_steps_than_any_run_takes_is_left_out_and_said(tmp_path: Path) -> None:
    run = told(state(tmp_path, {1: 0.1}, max_steps=2**64))
    assert run.n_planned is None
    assert run.notes == ("max_steps in trainer_state.json is more than any run takes, and was left out",)

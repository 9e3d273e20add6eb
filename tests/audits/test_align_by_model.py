"""Files that spell their names differently are matched through the network; those of other networks are not."""

from pathlib import Path

import pytest
import torch
from tests.models import tiny

from forgetaudit.audits.align_by_model import align_through_model
from forgetaudit.checkpoints.align import NameAlignment
from forgetaudit.checkpoints.formats import open_checkpoint
from forgetaudit.errors import MismatchError
from forgetaudit.models.model_source import ModelSource
from forgetaudit.plan import AuditPlan


def aligned(base: Path, tuned: Path) -> NameAlignment:
    family = ModelSource(AuditPlan(base=base, tuned=(tuned,), names=("tuned",)))
    with open_checkpoint(base) as one, open_checkpoint(tuned) as two:
        return align_through_model(one, two, family.model_names)


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    tiny.vit().save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def test_a_state_dict_and_a_saved_model_are_matched_whole_and_told(vit: Path, tmp_path: Path) -> None:
    torch.save(tiny.vit().state_dict(), tmp_path / "state.pt")
    found = aligned(vit, tmp_path / "state.pt")
    assert len(found.pairs) == 40
    assert not found.only_left
    assert not found.only_right
    assert (
        "vit.encoder.layer.0.attention.attention.query.weight",
        "vit.layers.0.attention.q_proj.weight",
    ) in found.pairs
    assert found.steps[0].startswith("renamed 32 names")


def test_files_of_one_spelling_never_ask_the_network(vit: Path) -> None:
    def never(_: object) -> dict[str, str]:
        raise AssertionError("asked")

    with open_checkpoint(vit) as one, open_checkpoint(vit) as two:
        assert len(align_through_model(one, two, never).pairs) == 40


def test_another_network_is_refused_as_before(vit: Path, tmp_path: Path) -> None:
    tiny.bert().save_pretrained(tmp_path / "bert")
    with pytest.raises(MismatchError, match="not versions of one network"):
        aligned(vit, tmp_path / "bert")


def test_without_a_config_the_names_in_the_files_decide(vit: Path, tmp_path: Path) -> None:
    torch.save(tiny.vit().state_dict(), tmp_path / "state.pt")
    (vit / "config.json").unlink()
    with pytest.raises(MismatchError, match="not versions of one network"):
        aligned(vit, tmp_path / "state.pt")

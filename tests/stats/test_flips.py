import pytest
import torch

from forgetaudit.stats.flips import FlipCounts, Flips


def yes_no(text):
    return torch.tensor([letter == "y" for letter in text])


def test_each_example_is_kept_forgotten_gained_or_missed():
    flips = Flips()
    flips.update(yes_no("yyynn"), yes_no("ynnyn"))
    counts = flips.read()
    assert (counts.kept, counts.forgotten, counts.gained, counts.missed) == (1, 2, 1, 1)
    assert (counts.n, counts.n_right_base, counts.n_right_tuned) == (5, 3, 2)
    assert counts.per_class == ()


def test_classes_are_counted_by_label_also_those_without_examples():
    flips = Flips(3)
    flips.update(yes_no("yyn"), yes_no("nyy"), torch.tensor([2, 0, 2]))
    assert flips.read().per_class == (
        FlipCounts(kept=1, forgotten=0, gained=0, missed=0),
        FlipCounts(kept=0, forgotten=0, gained=0, missed=0),
        FlipCounts(kept=0, forgotten=1, gained=1, missed=0),
    )


def test_base_against_itself_has_no_flips():
    flips = Flips()
    flips.update(yes_no("yynny"), yes_no("yynny"))
    assert (flips.read().forgotten, flips.read().gained) == (0, 0)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="not of the same examples"):
        Flips().update(yes_no("yy"), yes_no("y"))
    with pytest.raises(ValueError, match="2 examples in 3 classes need 2 labels"):
        Flips(3).update(yes_no("yy"), yes_no("yy"))
    with pytest.raises(ValueError, match="labels 1 to 3 do not fit 3 classes"):
        Flips(3).update(yes_no("yy"), yes_no("yy"), torch.tensor([1, 3]))
    with pytest.raises(ValueError, match="2 classes cannot be merged into 3"):
        Flips(3).merge(Flips(2))

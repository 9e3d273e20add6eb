import pytest
import torch

from forgetaudit.inference.label_map import find_wrong_label_map
from forgetaudit.stats.confusion import Confusion


def counted(ids, labels, predicted, n_classes=3):
    confusion = Confusion(n_classes)
    confusion.update(ids, torch.tensor(labels), torch.tensor(predicted))
    return confusion.read()


def test_rows_are_labels_and_columns_predictions():
    counts = counted([str(i) for i in range(200)], [2] * 200, [1] * 200)
    first, second = counts.matrices()
    assert first[2][1] + second[2][1] == counts.n == 200
    assert 70 < first[2][1] < 130
    assert sum(map(sum, first)) == first[2][1]


def test_an_example_without_prediction_is_counted_but_in_no_column():
    counts = counted(["a", "b"], [0, 1], [-1, 1])
    assert (counts.n, counts.n_right, counts.n_without_prediction) == (2, 1, 1)
    assert sum(sum(map(sum, half)) for half in counts.matrices()) == 1
    assert counts.majority_share == 0.5


def test_an_id_decides_the_half_wherever_it_comes():
    ids = [f"{i}#0" for i in range(50)]
    one = counted(ids, [0] * 50, [0] * 50)
    other = counted(ids[::-1], [0] * 50, [0] * 50)
    assert one == other
    assert counted(["7f3a#0"], [1], [1]).halves == ((), ((1, 1, 1),))


def test_exchanged_names_are_found_in_the_counts():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 6, (600,), generator=generator)
    confusion = Confusion(6)
    confusion.update([str(i) for i in range(600)], labels, torch.tensor([0, 2, 1, 3, 4, 5])[labels])
    found = find_wrong_label_map(*confusion.read().matrices())
    assert found is not None
    assert found.moved == ((1, 2), (2, 1))
    confusion = Confusion(6)
    confusion.update([str(i) for i in range(600)], labels, labels)
    assert find_wrong_label_map(*confusion.read().matrices()) is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 ids, 1 labels and 2 predictions do not match"):
        counted(["a", "b"], [0], [0, 0])
    with pytest.raises(ValueError, match="label 0, predicted 3 does not fit 3 classes"):
        counted(["a"], [0], [3])
    with pytest.raises(ValueError, match="label -1, predicted 0 does not fit"):
        counted(["a"], [-1], [0])
    with pytest.raises(ValueError, match="2 classes cannot be merged into 3"):
        Confusion(3).merge(Confusion(2))

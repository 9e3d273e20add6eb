import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from forgetaudit.inference.corrections import benjamini_hochberg, holm


@pytest.mark.parametrize(("adjust", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_p_values_agree_with_statsmodels_in_the_order_given(adjust, name):
    for seed in range(20):
        p_values = np.random.default_rng(seed).beta(0.4, 1, size=seed + 1).tolist()
        p_values[0] = p_values[-1]
        assert adjust(p_values) == pytest.approx(multipletests(p_values, method=name)[1].tolist(), rel=1e-12)


def test_nothing_to_adjust():
    assert holm([]) == benjamini_hochberg([]) == []
    assert holm([0.03]) == benjamini_hochberg([0.03]) == [0.03]


def test_what_is_not_a_p_value_is_refused():
    for adjust in (holm, benjamini_hochberg):
        with pytest.raises(ValueError, match="a p-value lies between 0 and 1, not nan"):
            adjust([0.1, float("nan")])

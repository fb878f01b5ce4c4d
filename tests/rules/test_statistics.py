"""The statistics of verdicts equal SciPy's."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from promptlooper_export.analysis.contrast import interval, paired, welch
from promptlooper_export.analysis.student import critical_value, f_tail, two_sided_p

# SciPy warns of scores that are nearly the same.
pytestmark = pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")

scores = st.floats(-100, 100).map(lambda value: round(value, 2))


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def closely(bounds: Iterable[object]) -> object:
    return pytest.approx([float(str(bound)) for bound in bounds], rel=1e-9, abs=1e-12)


# Below a millionth, what scipy gives is rounded to 1.
@given(t=st.floats(-50, 50).map(lambda t: round(t, 6)), degrees=st.floats(1, 1e6))
def test_tail_probabilities_are_those_of_students_t(t: float, degrees: float) -> None:
    assert two_sided_p(t, degrees) == close(float(2 * stats.t.sf(abs(t), degrees)))


@given(alpha=st.floats(1e-8, 0.9), degrees=st.floats(1, 1e6))
def test_critical_values_are_quantiles_of_students_t(
    alpha: float, degrees: float
) -> None:
    assert critical_value(alpha, degrees) == close(
        float(stats.t.isf(alpha / 2, degrees))
    )


@given(
    f=st.floats(0, 1e6), between=st.integers(1, 1000), within=st.integers(1, 100_000)
)
def test_tail_probabilities_are_those_of_fishers_f(
    f: float, between: int, within: int
) -> None:
    # Near zero, SciPy loses some digits: at 1e-16 it is off by 3e-9.
    expected = float(stats.f.sf(f, between, within))
    assert f_tail(f, between, within) == pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(st.lists(scores, min_size=2, max_size=30))
def test_an_interval_of_a_mean_is_students(values: Sequence[float]) -> None:
    found = interval(values, alpha=0.05)
    assert found is not None
    error = float(stats.sem(values))
    mean = float(np.mean(values))
    reach = float(stats.t.isf(0.025, len(values) - 1)) * error
    assert found == (close(mean - reach), close(mean + reach))


def test_one_value_has_no_interval() -> None:
    assert interval([1.0], alpha=0.05) is None


@given(st.lists(scores, min_size=6, max_size=12))
def test_few_cases_are_compared_by_the_exact_permutation_test(
    differences: Sequence[float],
) -> None:
    found = paired(differences, alpha=0.05)
    assert found is not None
    expected = stats.permutation_test(
        (np.array(differences),),
        lambda x, axis: np.abs(np.sum(x, axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=1 << 12,  # all there are
        alternative="greater",
    )
    assert found.p == close(expected.pvalue)
    bounds = stats.ttest_1samp(differences, 0).confidence_interval()
    if np.std(differences) > 1e-9:
        assert (found.low, found.high) == (
            close(float(bounds.low)),
            close(float(bounds.high)),
        )


def test_many_cases_are_compared_by_students_test_corrected_for_continuity() -> None:
    random = np.random.default_rng(1)
    differences = random.normal(0.2, 1, 80)
    found = paired(differences.tolist(), alpha=0.01)
    assert found is not None
    excess = abs(differences.sum()) - np.abs(differences).min()
    statistic = float(excess / 80 / stats.sem(differences))
    assert found.p == close(float(2 * stats.t.sf(statistic, 79)))
    bounds = stats.ttest_1samp(differences, 0).confidence_interval(0.99)
    assert (found.low, found.high) == (
        close(float(bounds.low)),
        close(float(bounds.high)),
    )


def test_passes_and_failures_are_compared_like_a_sign_test() -> None:
    differences = [1.0] * 9 + [-1.0] * 2 + [0.0] * 200
    found = paired(differences, alpha=0.05)
    assert found is not None
    assert found.p == close(stats.binomtest(9, 11).pvalue)


@given(
    st.lists(scores, min_size=2, max_size=20), st.lists(scores, min_size=2, max_size=20)
)
def test_repeated_runs_are_compared_by_welchs_test(
    first: Sequence[float], second: Sequence[float]
) -> None:
    found = welch(first, second, alpha=0.05)
    if max(np.std(first), np.std(second)) < 1e-9:
        assert found is None
        return
    expected = stats.ttest_ind(first, second, equal_var=False)
    bounds = expected.confidence_interval()
    assert found is not None
    assert found.p == close(expected.pvalue)
    assert (found.low, found.high) == (
        close(float(bounds.low)),
        close(float(bounds.high)),
    )


@pytest.mark.parametrize("count", range(6))
def test_too_few_cases_to_be_significant_are_not_compared(count: int) -> None:
    assert paired([0.5] * count, alpha=0.05) is None


def test_single_runs_are_not_compared() -> None:
    assert welch([1.0], [0.1, 0.2, 0.3], alpha=0.05) is None


@pytest.mark.parametrize(("difference", "margin"), [(0.5, 0.01), (0.004, 0.01)])
def test_as_many_cases_as_are_said_to_be_needed_settle_it(
    difference: float, margin: float
) -> None:
    pattern = np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0])
    found = paired((pattern + difference).tolist(), alpha=0.05)
    assert found is not None
    assert found.low < 0 < found.high
    needed = found.needed(margin)
    assert needed is not None
    repeated = np.resize(pattern, needed) + difference
    more = paired(repeated.tolist(), alpha=0.05)
    assert more is not None
    assert more.low > 0 if difference > margin else abs(more.high) <= margin * 1.1

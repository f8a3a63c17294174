"""Numbers about a classifier, against independent computations of the same."""

import numpy as np
import pytest

from tests.unit.trainer_model.states import answers, judgement
from trainer import intervals, metrics
from trainer.judgement import comparison


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_accuracy() -> None:
    # Ten answers of 80% confidence of which 6 are right, ten of 100% that are all right: (0.2 + 0) / 2.
    probabilities = np.array([[0.8, 0.2]] * 10 + [[1.0, 0.0]] * 10)
    labels = np.array([0] * 6 + [1] * 4 + [0] * 10)
    assert metrics.calibration_error(probabilities, labels) == pytest.approx(0.1)


def test_a_calibrated_model_has_a_small_calibration_error() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 50_000)
    labels = (random.random((50_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert metrics.calibration_error(probabilities, labels) < 0.01


def test_calibration_of_what_is_no_number_is_no_number() -> None:
    assert np.isnan(metrics.calibration_error(np.full((2, 2), np.nan), np.array([0, 1])))


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    # Newcombe 1998, table I: Wilson's score interval without continuity correction
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_published_one(hits: int, count: int, low: float, high: float) -> None:
    assert intervals.wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_interval_of_nothing_is_everything() -> None:
    assert intervals.wilson(0, 0) == (0.0, 1.0)
    assert intervals.wilson(7, 7)[1] == 1.0


def test_intervals_cover_the_truth_about_95_times_of_100() -> None:
    probabilities, labels = answers(100_000, 4, 1.0)
    truth = metrics.classification(probabilities, labels)
    random, covered = np.random.default_rng(0), {"accuracy": 0, "loss": 0, "macro_f1": 0}
    for _ in range(100):
        chosen = random.choice(len(labels), 400)
        found = intervals.of_classification(probabilities[chosen], labels[chosen])
        for name, (low, high) in found.items():
            covered[name] += low <= truth[name] <= high
    assert all(88 <= count <= 100 for count in covered.values()), covered


def test_intervals_are_the_same_each_time() -> None:
    probabilities, labels = answers(500, 5, 2.0)
    one, two = (intervals.of_classification(probabilities, labels) for _ in range(2))
    assert one == two


def test_many_resampled_matrices_at_once_have_the_f1_of_each() -> None:
    from sklearn.metrics import f1_score

    actual, predicted = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0])
    cells = metrics.confusion(predicted, actual)
    found = metrics.macro_f1(cells[0], cells[1], np.stack([cells[2], 2 * cells[2]]))
    assert found == pytest.approx([f1_score(actual, predicted, average="macro")] * 2)


def test_models_that_err_alike_are_told_apart_by_their_difference() -> None:
    probabilities, labels = answers(2_000, 10, 2.0)
    worse = probabilities.copy()
    right = np.flatnonzero(probabilities.argmax(axis=1) == labels)[:20]
    worse[right] = np.roll(worse[right], 1, axis=1)
    names, inputs = [str(number) for number in range(10)], np.zeros((2_000, 1))
    one, other = (judgement(each, labels, names, inputs) for each in (probabilities, worse))
    low, high = comparison(one, other)["accuracy"]["interval"]
    assert comparison(one, other)["accuracy"]["difference"] == pytest.approx(0.01)
    assert low > 0
    assert high < 0.02
    # Each model's own interval is far wider than that.
    assert one.intervals["accuracy"][0] < other.metrics["accuracy"]

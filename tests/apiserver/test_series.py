from kajitori.apiserver import series
from kajitori.apiserver.exposition import Distribution
from kajitori.apiserver.series import Counter, Histogram


def test_a_counter_counts_by_labels() -> None:
    counter = Counter("x_total", "", "a b")
    counter.add("1", "2")
    counter.add("1", "2")
    counter.add("1", "3")
    assert list(counter.family.read()) == [({"a": "1", "b": "2"}, 2), ({"a": "1", "b": "3"}, 1)]


def test_a_histogram_counts_by_upper_bounds() -> None:
    histogram = Histogram("x_seconds", "", "a", (0.5, 1.0))
    for duration_s in (0.5, 0.75, 9.0):
        histogram.add(duration_s, "1")
    assert list(histogram.family.read()) == [({"a": "1"}, Distribution((0.5, 1.0), [1, 1, 1], 10.25))]


def test_the_oldest_series_goes_when_there_are_too_many() -> None:
    counter = Counter("x_total", "", "a")
    for number in range(series.SERIES_MAX + 1):
        counter.add(str(number))
    kept = [labels["a"] for labels, _ in counter.family.read()]
    assert len(kept) == series.SERIES_MAX
    assert kept[0] == "1"

from goodviews.hub.demo.charts import line_chart, round_numbers, running_mean


def test_round_numbers_span_what_they_are_asked_to():
    assert round_numbers(0.3, 4.2, count=4) == [0, 1, 2, 3, 4, 5]
    assert round_numbers(1, 90, count=5) == [0, 20, 40, 60, 80, 100]
    assert round_numbers(2.0, 2.0, count=4)[0] <= 2.0


def test_a_falling_curve_falls_on_the_page():
    chart = line_chart([1, 2, 3], {"loss": [4.0, 2.0, 0.0]}, level=4.0)
    heights = [float(point.split(",")[1]) for point in chart.lines[0].points.split()]
    assert heights == sorted(heights)
    assert chart.lines[0].points.startswith("0.00,")
    assert chart.lines[0].points.split()[-1].startswith("100.00,")
    assert chart.level_at == heights[0]


def test_labels_of_curves_that_end_together_are_written_apart():
    first, second = line_chart([1, 2], {"a": [4.0, 1.0], "b": [3.0, 1.0]}).lines
    assert second.end_at - first.end_at >= 8


def test_running_mean_starts_with_the_first_value():
    assert running_mean([4.0, 2.0, 0.0, 0.0], 2) == [4.0, 3.0, 1.0, 0.0]

import pytest

from goodviews.pretrain.analysis.sweep_picture import picture
from goodviews.pretrain.analysis.sweeps import SWEEPS, Frame
from goodviews.pretrain.analysis.trainer import Training

INFORMATION = {"nats": 1.0, "low": 0.9, "high": 1.1, "ceiling": 5.5, "of_seeds": [1.0]}
SCORE = {"top1": 50.0, "low": 48.0, "high": 52.0, "of_seeds": [50.0]}


def report_of(question: str, axis: str, name: str) -> dict:
    points = [
        {"name": f"{number}, contrasted", "value": number, "information": INFORMATION, "scores": {"knn class": SCORE}}
        for number in range(2)
    ]
    return {
        "question": question,
        "axis": axis,
        "grid": None,
        "curves": {},
        "points": points,
        "data": {"name": name},
    }


@pytest.mark.parametrize("axis", ["operations", ""])
def test_a_question_of_any_length_fits_into_the_picture(axis: str):
    frame = Frame(32, 96, Training(steps=2, batch_size=16))
    questions = [make(frame).question for make in SWEEPS.values()]
    for question in [*questions, "How much of what two views share is of use? " * 6]:
        figure = picture(report_of(question, axis, "photos"))
        figure.canvas.draw()
        (title,) = figure.texts
        assert title.get_window_extent().x1 <= figure.bbox.x1, question
        assert title.get_window_extent().y1 <= figure.bbox.y1, question

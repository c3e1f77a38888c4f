"""metrics.jsonl, its averages, and the online kNN."""

import json
import re

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from goodviews.hub.backbone import build_backbone
from goodviews.hub.encoder import Encoder, Origin
from goodviews.hub.errors import GoodviewsError
from goodviews.hub.preprocessing import Preprocessing
from goodviews.hub.sources.open import open_data
from goodviews.pretrain.data.loader import Batch
from goodviews.pretrain.training.finite_loss import FiniteWatch
from goodviews.pretrain.training.monitor import Monitor, truncate
from goodviews.pretrain.training.online_knn import OnlineKnn, online_knn


def record(monitor, step, loss):
    monitor.record(step, step / 10, {"loss": torch.tensor(loss)}, lr=0.1, images=4, wait_s=0.0)


def test_line_is_the_mean_of_its_interval(tmp_path):
    monitor = Monitor(tmp_path, steps=400, reduce=lambda tensor: tensor)
    assert monitor.every == 2
    for step, loss in enumerate((1.0, 2.0, 5.0, 6.0), 1):
        record(monitor, step, loss)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 1.5), (4, 5.5)]


def test_interval_goes_on_after_a_restore(tmp_path):
    first = Monitor(tmp_path, steps=400, reduce=lambda tensor: tensor)
    record(first, 1, 1.0)
    second = Monitor(tmp_path, steps=400, reduce=lambda tensor: tensor)
    second.restore(first.state(), 1, torch.device("cpu"))
    record(second, 2, 2.0)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == 1.5


def test_infinite_loss_is_not_written(tmp_path):
    monitor = Monitor(tmp_path, steps=400, reduce=lambda tensor: tensor)
    record(monitor, 1, float("inf"))
    with pytest.raises(GoodviewsError, match=r"step 2: loss is inf within the last 2 steps"):
        record(monitor, 2, 1.0)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_each_loss_is_looked_at_one_step_later_and_the_last_when_asked(tmp_path):
    batch = Batch(torch.tensor([7, 3]), {"query": torch.ones(2, 3)}, 0.0)
    watch = FiniteWatch(tmp_path, total=lambda tensor: tensor)
    for step, loss in ((1, 1.0), (2, float("nan"))):
        watch.look(step, torch.tensor(loss), [batch])
    with pytest.raises(GoodviewsError, match=r"stopped at step 2: loss is nan; its batch is saved in .*bad_batch.pt"):
        watch.look(3, torch.tensor(1.0), [batch])
    assert torch.load(tmp_path / "bad_batch.pt", weights_only=True)["samples"].tolist() == [7, 3]
    watch = FiniteWatch(tmp_path, rank=1, world=2, total=lambda good: torch.tensor(1.0))
    watch.look(5, torch.tensor(2.0), [batch])
    with pytest.raises(GoodviewsError, match=r"stopped at step 5: another process's loss is NaN or infinite"):
        watch.check()


def test_truncated_metrics_end_at_the_step_and_lose_a_half_written_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    truncate(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_line_says_how_fast_it_goes_how_much_it_waits_and_what_is_left(tmp_path, caplog):
    caplog.set_level("INFO")
    monitor = Monitor(
        tmp_path, steps=400, reduce=lambda tensor: tensor, signals=lambda step, epoch: {"feature_std": 0.5}
    )
    record(monitor, 1, 1.0)
    record(monitor, 2, 1.0)
    assert re.search(
        r"step 2/400  loss 1  feature_std 0.5  lr 0.1  \d+ img/s  wait \d+ %  left \d+:\d\d:\d\d", caplog.text
    )
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["feature_std"] == 0.5


def encoder(px=16):
    torch.manual_seed(0)
    return Encoder(build_backbone("test_resnet"), Preprocessing(input_px=px), Origin())


def colours(folder, each):
    for name, value in {"red": (200, 0, 0), "blue": (0, 0, 200), "green": (0, 200, 0)}.items():
        (folder / name).mkdir(parents=True)
        for number in range(each):
            Image.new("RGB", (20, 20), tuple(max(0, v - number) for v in value)).save(folder / name / f"{number}.png")


def test_val_part_is_scored_against_the_train_part(tmp_path):
    colours(tmp_path / "train", 4)
    colours(tmp_path / "val", 2)
    knn = online_knn(open_data(tmp_path), encoder())
    assert (len(knn.bank.labels), len(knn.test.labels)) == (12, 6)
    assert knn(encoder()) == 100


def test_without_a_val_part_every_image_is_left_out_once(tmp_path):
    colours(tmp_path, 4)
    knn = online_knn(open_data(tmp_path), encoder())
    assert knn.test is None
    assert knn(encoder()) == 100
    alone = OnlineKnn(type(knn.bank)(knn.bank.pixels[::4], torch.arange(3)), None)
    assert alone(encoder()) == 0  # nobody else has its class


def test_flat_folder_has_no_score(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    assert online_knn(open_data(tmp_path), encoder()) is None


def test_features_are_those_of_the_evaluation_transform(tmp_path):
    colours(tmp_path, 2)
    network = encoder()
    knn = online_knn(open_data(tmp_path), network)
    paths = sorted(tmp_path.rglob("*.png"))
    from goodviews.pretrain.training.online_knn import _features

    expected = torch.from_numpy(network.encode(paths))
    torch.testing.assert_close(_features(network, knn.bank.pixels), F.normalize(expected, dim=1), atol=1e-5, rtol=1e-4)


def test_an_end_as_good_as_the_start_is_no_warning(tmp_path, caplog):
    monitor = Monitor(tmp_path, steps=4, reduce=lambda tensor: tensor)
    for step in (0, 4):
        monitor.knn(step, float(step), 100 * 31 / 38)  # metrics.jsonl has it rounded up
    monitor.compare_with_start()
    assert "below its start" not in caplog.text

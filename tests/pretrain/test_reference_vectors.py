"""Our losses, queue, jigsaw head and learning rates against what the published implementations computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from goodviews.pretrain.models.ema import Keys
from goodviews.pretrain.models.heads import JigsawHead
from goodviews.pretrain.models.losses import queue_logits
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.queue import KeyQueue, QueueRows
from goodviews.pretrain.models.schedules import Moment, PyContrastCosine, Steps
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.infomin import InfoMin

NO_ORDERS = Orders(torch.empty(0), torch.empty(0))
VECTORS = Path(__file__).parent.parent / "vectors"


def _read(name, dtype=None):
    with np.load(VECTORS / f"{name}.npz") as content:
        read = {key: torch.from_numpy(content[key]) for key in content}
    return {key: value.to(dtype) if dtype and value.is_floating_point() else value for key, value in read.items()}


def _infomin_step(v):
    query, jigsaw = v["query"].requires_grad_(), v["query_jigsaw"].requires_grad_()
    networks = Networks(
        query=lambda crops, patches, order: ([query], jigsaw), keys=lambda images, order: Keys(v["key"], v["all_keys"])
    )
    objective = InfoMin(temperature=float(v["temperature"]), jigsaw_weight=float(v["beta"]))
    views = dict.fromkeys(("query", "key", "jigsaw"), torch.empty(0))
    return objective(networks, Known(QueueRows(v["queue_before"])), views, NO_ORDERS), query, jigsaw


def test_infomin_losses_agree_with_pycontrast():
    v = _read("infomin_queue")
    step, _, _ = _infomin_step(v)
    torch.testing.assert_close(step.losses["contrast"], v["loss_instance"], rtol=1e-5, atol=0)
    torch.testing.assert_close(step.losses["jigsaw"], v["loss_jigsaw"], rtol=1e-5, atol=0)
    torch.testing.assert_close(step.loss, v["loss"], rtol=1e-5, atol=0)


@pytest.mark.parametrize(("query", "logits"), [("query", "logits"), ("query_jigsaw", "logits_jigsaw")])
def test_logits_agree_with_pycontrast(query, logits):
    v = _read("infomin_queue")
    ours = queue_logits(v[query], v["key"], v["queue_before"], temperature=float(v["temperature"]))
    torch.testing.assert_close(ours, v[logits], rtol=1e-5, atol=1e-6)


def test_infomin_gradients_agree_with_pycontrast():
    v = _read("infomin_queue")
    step, query, jigsaw = _infomin_step(v)
    step.loss.backward()
    torch.testing.assert_close(query.grad, v["grad_query"], rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(jigsaw.grad, v["grad_query_jigsaw"], rtol=1e-4, atol=1e-8)


def test_infomin_gradients_in_float64_agree_with_pycontrast():
    v = _read("infomin_queue", torch.float64)
    step, query, jigsaw = _infomin_step(v)
    step.loss.backward()
    assert query.grad.dtype == jigsaw.grad.dtype == torch.float64
    torch.testing.assert_close(query.grad, v["grad_query"], rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(jigsaw.grad, v["grad_query_jigsaw"], rtol=1e-5, atol=1e-8)


def test_queue_agrees_with_pycontrast_and_wraps():
    v = _read("infomin_queue")
    queue = KeyQueue(*v["queue_before"].shape)
    queue.rows.copy_(v["queue_before"])
    queue.pointer = int(v["pointer_before"])
    queue.enqueue(v["all_keys"])
    torch.testing.assert_close(queue.rows, v["queue_after"], rtol=0, atol=0)
    assert queue.pointer == int(v["pointer_after"])


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_jigsaw_head_agrees_with_pycontrast(kind):
    v = _read(f"jigsaw_head_{kind}")
    head = JigsawHead(32, 16, kind)
    head.load_state_dict({name.removeprefix("param."): value for name, value in v.items() if name.startswith("param.")})
    order = v["permutation"].view(4, 9) - 9 * torch.arange(4)[:, None]
    torch.testing.assert_close(head(v["patch_features"], order), v["output"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "schedule", "base_lr", "epochs", "batch_size"),
    [
        ("b256_cos", PyContrastCosine(), 0.03, 200, 256),
        ("b256_step", Steps(), 0.03, 200, 256),
        ("b1024_cos", PyContrastCosine(), 0.12, 800, 1024),
        ("b512_cos", PyContrastCosine(), 0.06, 200, 512),
    ],
)
def test_learning_rate_of_every_step_agrees_with_pycontrast(name, schedule, base_lr, epochs, batch_size):
    v = _read("infomin_lr")
    per_epoch = int(v["steps_per_epoch"])
    ours = [
        schedule(base_lr, Moment(epoch, step, per_epoch, epochs, batch_size))
        for epoch in range(epochs)
        for step in range(per_epoch)
    ]
    np.testing.assert_allclose(ours, v[name].numpy(), rtol=1e-9)

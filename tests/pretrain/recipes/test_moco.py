"""MoCo's loss both ways, and the Imagenette settings that are to be compared with lightly's."""

import torch
import torch.nn.functional as F

from goodviews.pretrain.models.ema import KeyNetwork, Keys
from goodviews.pretrain.models.memory import Known
from goodviews.pretrain.models.queue import Queue, QueueRows
from goodviews.pretrain.models.schedules import MocoCosine, PyContrastCosine
from goodviews.pretrain.objective import Networks, Orders
from goodviews.pretrain.recipes.moco import QueueContrast, SymmetricQueueContrast
from goodviews.pretrain.recipes.registry import choose


def unit(*shape: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def step(objective, query, key, queue):
    """With a network that gives back what it is given, and keys near it."""
    networks = Networks(
        query=lambda crops: (list(crops), None),
        keys=lambda images, order: Keys(F.normalize(images + 0.1, dim=1), F.normalize(images + 0.1, dim=1)),
    )
    orders = Orders(torch.empty(0), torch.empty(0))
    return objective(networks, Known(QueueRows(queue)), {"query": query, "key": key}, orders)


def test_symmetric_loss_is_the_mean_of_both_directions_and_keeps_one_key_an_image():
    query, key, queue = unit(4, 8, seed=0), unit(4, 8, seed=1), unit(16, 8, seed=2)
    both = step(SymmetricQueueContrast(temperature=0.1), query, key, queue)
    there, back = (step(QueueContrast(temperature=0.1), *pair, queue) for pair in ((query, key), (key, query)))
    torch.testing.assert_close(both.loss, (there.loss + back.loss) / 2)
    torch.testing.assert_close(both.metrics["key_first"], (there.metrics["key_first"] + back.metrics["key_first"]) / 2)
    assert torch.equal(both.keys, there.keys)


def test_imagenette_settings_are_lightlys_and_the_three_methods_share_them():
    """ResNet-18, 128 px, 256 images, 800 epochs, rate 0.06, weight decay 5e-4, momentum 0.99, 4096 keys."""
    recipes = [choose(f"{name}_imagenette") for name in ("moco_v2", "infomin", "clsa")]
    for recipe in recipes:
        assert (recipe.architecture, recipe.input_px, recipe.batch_size, recipe.epochs) == ("resnet18", 128, 256, 800)
        assert (recipe.optimizer.lr, recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.06, 0.9, 5e-4)
        assert (recipe.slow, recipe.memory) == (KeyNetwork(momentum=0.99, group=32), Queue(4096))
        assert not recipe.zero_init_last
    assert [type(recipe.schedule) for recipe in recipes] == [MocoCosine, PyContrastCosine, MocoCosine]
    assert recipes[0].objective == SymmetricQueueContrast(temperature=0.1)

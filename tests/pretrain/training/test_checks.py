"""What of a recipe is refused before anything is built, and why."""

from dataclasses import replace

import pytest

from goodviews.hub.errors import UsageError
from goodviews.pretrain.models.clusters import Clusters
from goodviews.pretrain.models.ema import KeyNetwork
from goodviews.pretrain.models.schedules import WarmupCosine, warmup_epochs
from goodviews.pretrain.options import Options
from goodviews.pretrain.recipes.registry import RECIPES, choose
from goodviews.pretrain.training import loop
from goodviews.pretrain.training.checks import check_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_trained_with_enough_images(name):
    recipe = choose(name)
    check_recipe(recipe, images=1_281_167, world=1, classes=recipe.dim if recipe.head == "classifier" else 0)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("moco_v2_200", "views.0.crop.px=0", r"the crop of view query has px 0; it must be 1 or more"),
        (
            "moco_v2_200",
            "views.1.crop.scale=[0.5, -1]",
            r"view key has scale 0.5 to -1.0; give two numbers above 0, the",
        ),
        ("moco_v2_200", "views.1.crop.scale=[0.5, 1.5]", r"the lower first, at most 1"),
        (
            "moco_v2_200",
            "views.1.crop.ratio=[0, 1]",
            r"view key has ratio 0.0 to 1.0; give two numbers above 0, the lower",
        ),
        (
            "infomin_200",
            "views.2.program.1.patch_px=99",
            r"cells of 255 px, which have no room for patches of 99 px",
        ),
        ("infomin_200", "memory.parts=2", r"memory.parts is 2; InfoMin works with 1"),
        ("infomin_200", "memory.from_epoch=1", r"InfoMin needs its queue from the start; leave memory.from_epoch at 0"),
        ("infomin_200", "branches=2", r"branches is 2; InfoMin works with 1"),
        ("swav_b256_200", "memory.parts=1", r"memory.parts is 1; Swav works with 2"),
        ("cmc_200", "branches=1", r"branches is 1; CrossBank works with 2"),
        ("cmc_200", "memory.banks=1", r"memory.banks is 1; CrossBank works with 2"),
        ("moco_v2_200", "width=0.001", r"width is 0.001; it must be 1/64 or more"),
        ("moco_v2_200", "objective.temperature=0", r"objective.temperature is 0.0; it must be above 0"),
        ("clsa_200", "objective.match_temperature=-1", r"objective.match_temperature is -1.0; it must be above 0"),
        ("clsa_200", "objective.match_weight=-0.5", r"objective.match_weight is -0.5; it must be 0 or more"),
        ("infomin_200", "objective.jigsaw_weight=1.5", r"objective.jigsaw_weight is 1.5; it must be from 0 to 1"),
        ("infomin_200", "optimizer.weight_decay=-1", r"optimizer.weight_decay is -1.0; it must be 0 or more"),
        ("moco_v2_200", "optimizer.lr=NaN", r"optimizer.lr is nan; it must be above 0"),
        ("infomin_200", "views.2.program.1.grid=2", r"view jigsaw is cut into 4 patches, and InfoMin takes 9"),
    ],
)
def test_recipe_that_would_fail_later_is_refused_at_once(name, change, sentence):
    recipe = choose(name, [change])
    with pytest.raises(UsageError, match=sentence):
        check_recipe(recipe, images=1_281_167, world=1)


def test_patches_that_the_objective_does_not_take_are_refused():
    cut, whole = choose("infomin_200"), choose("moco_v2_200")
    cut_query = replace(whole, views=(replace(cut.views[2], name="query"), *whole.views[1:]))
    with pytest.raises(UsageError, match=r"QueueContrast takes whole images; leave the cut out"):
        check_recipe(cut_query, images=10**6, world=1)
    uncut = replace(cut.views[2], program=cut.views[2].program[:1])
    with pytest.raises(UsageError, match=r"InfoMin takes 9 patches of an image, and no view is cut"):
        check_recipe(replace(cut, views=(*cut.views[:2], uncut)), images=10**6, world=1)


def test_clusters_without_an_ema_copy_and_prototypes_with_one_are_refused():
    without, prototypes = choose("simclr_100"), choose("swav_800")
    with pytest.raises(UsageError, match=r"simclr_100 has clusters, which need an EMA copy"):
        check_recipe(replace(without, prototypes=Clusters()), images=1_281_167, world=1)
    with pytest.raises(UsageError, match=r"swav_800 has prototypes and a KeyNetwork; leave one of them out"):
        check_recipe(replace(prototypes, slow=KeyNetwork()), images=1_281_167, world=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (Options(workers=-1), r"--workers is -1; give 0"),
        (Options(save_every=0), r"--save-every is 0; it counts steps, from 1"),
        (Options(keep_px=64), r"--keep-px is the size of kept photos; give --keep"),
        (Options(keep="memory", keep_px=0), r"--keep-px is 0; .* 1 pixel or more"),
        (Options(keep="gpu", device="cpu"), r"--keep gpu: this run has no GPU"),
    ],
)
def test_option_out_of_range_is_refused_before_anything_is_written(options, sentence, images, smoke, tmp_path):
    with pytest.raises(UsageError, match=sentence):
        loop.pretrain(smoke, images, tmp_path / "run", replace(options, precision="fp32"))
    assert not (tmp_path / "run").exists()


def test_climb_of_the_learning_rate_is_known_for_every_schedule():
    def climb(name, batch_size, epochs):
        return warmup_epochs(choose(name).schedule, batch_size=batch_size, epochs=epochs)

    assert climb("simclr_100", 4096, 100) == 10
    assert climb("moco_v2_200", 256, 200) == 0
    assert (climb("infomin_200", 256, 200), climb("infomin_200", 512, 200), climb("infomin_800", 512, 800)) == (
        0,
        5,
        10,
    )


@pytest.mark.precision
def test_run_that_only_climbs_is_warned_of(images, tmp_path, caplog):
    recipe = replace(choose("byol_smoke"), architecture="test_resnet", schedule=WarmupCosine(warmup_epochs=1))
    loop.pretrain(recipe, images, tmp_path / "run", Options(knn_every=0))
    assert "the learning rate climbs for 1 epochs and the run has 1" in caplog.text

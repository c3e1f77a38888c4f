import numpy as np
import pytest
import timm
import torch
from PIL import Image

from goodviews.hub import DataError, Encoder, Origin, Preprocessing, SkippedImages, UsageError, from_pretrained
from goodviews.hub.backbone import build_backbone

pytestmark = pytest.mark.oldest


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return from_pretrained("random:resnet18@3")


def test_features_vectors_and_maps_have_the_stated_shapes(encoder):
    batch = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        assert encoder(batch).shape == (2, 512)
        torch.testing.assert_close(encoder.embed(batch).norm(dim=1), torch.ones(2))
        maps = encoder.feature_maps(batch)
    assert {name: tuple(value.shape) for name, value in maps.items()} == {
        "res2": (2, 64, 16, 24),
        "res3": (2, 128, 8, 12),
        "res4": (2, 256, 4, 6),
        "res5": (2, 512, 2, 3),
    }


def test_the_last_map_pools_to_the_features(encoder):
    batch = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.feature_maps(batch)["res5"].mean(dim=(2, 3)), encoder(batch))


def test_paths_images_and_arrays_of_one_photo_encode_alike(encoder, photos):
    image = Image.open(photos[0]).convert("RGB")
    rows = encoder.encode([photos[0], str(photos[0]), image, np.asarray(image)], batch_size=3)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, np.broadcast_to(rows[:1], rows.shape), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_decoding_in_worker_processes_changes_nothing(encoder, photos):
    np.testing.assert_array_equal(encoder.encode(photos, workers=1), encoder.encode(photos))


def test_raw_features_have_their_own_length(encoder, photos):
    raw = encoder.encode(photos, normalise=False)
    np.testing.assert_allclose(
        raw / np.linalg.norm(raw, axis=1, keepdims=True), encoder.encode(photos), rtol=1e-4, atol=1e-6
    )


def test_unreadable_images_stop_encoding_or_are_listed_with_their_place(encoder, photos, odd_files):
    images = [photos[0], odd_files / "made_empty.jpg", photos[1]]
    with pytest.raises(DataError, match="made_empty"):
        encoder.encode(images)
    skipped = SkippedImages()
    rows = encoder.encode(images, skipped=skipped)
    assert len(rows) == 2
    assert skipped.positions == [1]
    np.testing.assert_allclose(rows[1], encoder.encode(photos[1:2])[0], atol=1e-6)


def test_every_odd_file_is_encoded_or_listed(encoder, odd_files):
    files = sorted(path for path in odd_files.iterdir() if path.suffix not in {".csv", ".md"})
    skipped = SkippedImages()
    rows = encoder.encode(files, skipped=skipped)
    assert len(rows) + len(skipped) == len(files)
    assert 5 < len(skipped) < len(rows)


def test_a_single_path_an_odd_array_and_an_empty_batch_are_refused(encoder, photos):
    with pytest.raises(UsageError, match="list"):
        encoder.encode(str(photos[0]))
    with pytest.raises(DataError, match=r"\(H, W, 3\) uint8"):
        encoder.encode([np.zeros((4, 4), np.uint8)])
    with pytest.raises(UsageError, match="batch_size"):
        encoder.encode(photos, batch_size=0)
    assert encoder.encode([]).shape == (0, 512)


def test_encoding_leaves_a_training_encoder_in_training_and_its_statistics_alone(photos):
    encoder = from_pretrained("random:resnet18").train()
    before = encoder.backbone.bn1.running_mean.clone()
    encoder.encode(photos)
    assert encoder.training
    torch.testing.assert_close(encoder.backbone.bn1.running_mean, before)


def test_networks_with_a_classifier_or_not_of_timm_are_refused():
    with pytest.raises(UsageError, match="num_classes=0"):
        Encoder(timm.create_model("resnet18", num_classes=5), Preprocessing(), Origin())
    with pytest.raises(UsageError, match="timm model"):
        Encoder(torch.nn.Linear(2, 2), Preprocessing(), Origin())


def test_residual_branches_start_open_as_in_the_published_recipes():
    backbone = build_backbone("resnet18")
    assert backbone.layer1[0].bn2.weight.eq(1).all()


def test_unknown_architectures_name_their_neighbours():
    with pytest.raises(UsageError, match="resnet5"):
        build_backbone("resnet5000")

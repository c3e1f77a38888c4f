"""solo-learn's checkpoints, of any of its methods."""

from .layout import Branch, Drop, Layout, has_both

SOLO_LEARN = Layout(
    name="solo-learn",
    title="solo-learn",
    source="vturrisi/solo-learn@9187ea3: solo/methods, main_linear.py, solo/data/classification_dataloader.py",
    recognise=has_both("backbone.conv1.", "classifier.", "momentum_backbone.", "projector."),
    branches=(Branch(("backbone.",)),),
    drops=(
        Drop(r"momentum_backbone\.", "EMA copy"),
        Drop(r"(momentum_)?(projector|head)\.", "projection head"),
        Drop(r"(momentum_)?classifier\.", "classifier on the side"),
        Drop(r"predictor\.", "predictor"),
        Drop(r"prototypes", "prototypes"),
        Drop(r"queue|local_memory", "queue of keys"),
        Drop(r"dino_loss_func\.", "the loss's centre"),
    ),
    small_stem_padding=2,
)

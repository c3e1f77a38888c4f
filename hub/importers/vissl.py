"""VISSL's model zoo: NPID, PIRL, SimCLR, SwAV and others by one library."""

from .layout import Branch, Layout, has

VISSL = Layout(
    name="vissl",
    title="VISSL",
    source="facebookresearch/vissl@09270ed: MODEL_ZOO.md, extra_scripts/convert_vissl_to_torchvision.py, "
    "vissl/models/trunks/resnext.py, configs/config/benchmark/linear_image_classification",
    recognise=has("_feature_blocks.conv1."),
    containers=("classy_state_dict.base_model.model.trunk", "model_state_dict", ""),
    branches=(Branch(("_feature_blocks.",)),),
)

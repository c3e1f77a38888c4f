"""The engine on detectron2, as published. Only here is detectron2 imported."""

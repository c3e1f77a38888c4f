"""How well objects were found, by the rules of VOC and of COCO."""

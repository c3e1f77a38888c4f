"""The photos that the demo searches for, by the name of the picture each search draws."""

QUERIES = {  # what is searched for; none of these photos is in the index
    "raccoon": "val/raccoon/raccoon-69.jpg",
    "blood": "val/blood/blood-00356.jpg",
    "kitchen": "val/indoors/coco-30213.jpg",
}

"""Networks with a classifier, as fine-tuning leaves them: their folder, and what they say of a photo."""

"""Tasks that classify whole photos: kNN, linear probes, few-shot, retrieval, fine-tuning, VOC07."""

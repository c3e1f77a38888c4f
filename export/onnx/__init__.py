"""ONNX files of an encoder: the graphs, how they are written, and whether they give PyTorch's vectors."""

"""The engine on torchvision, which runs everywhere."""

"""Where `from_pretrained` gets encoders from that are not ours: torchvision, timm, any repository in timm's form."""

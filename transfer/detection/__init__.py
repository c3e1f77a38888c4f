"""The detection protocols and what both engines share: settings, training loop, detector files, pictures."""

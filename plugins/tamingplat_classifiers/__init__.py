"""Classifiers: torchvision's pretrained networks, a residual network trained on the manifest's dataset, and their features."""

"""Synthetic scenes of which everything is known: class, segmentation, depth and pose, at any size and in any number."""

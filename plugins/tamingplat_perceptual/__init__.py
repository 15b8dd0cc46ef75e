"""Perceptual distances and features of frozen networks: LPIPS and shift-tolerant LPIPS."""

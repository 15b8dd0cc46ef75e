"""Checkpoints of the paper's reference implementation."""

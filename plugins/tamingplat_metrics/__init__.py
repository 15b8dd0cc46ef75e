"""Metrics: likelihood, reconstruction, codebook use, and Fréchet distances by torch-fidelity's arithmetic."""

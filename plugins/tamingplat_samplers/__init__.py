"""Samplers: ancestral sampling with temperature, top-k, mixed k and top-p."""

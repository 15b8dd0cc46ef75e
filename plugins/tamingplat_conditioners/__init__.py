"""Conditions: none, the class, maps through tokenizers of their own, coordinates, and several of them together."""

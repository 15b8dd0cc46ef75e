"""Conditions: none, and the image's class."""

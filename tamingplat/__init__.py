"""tamingplat: train, sample, measure and compare image tokenizers, priors, orderings and samplers."""

__version__ = "0.1.0"

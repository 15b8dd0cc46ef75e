"""Datasets drawn from stated distributions, so that the best possible likelihood is known: a Markov mesh, a Potts field."""

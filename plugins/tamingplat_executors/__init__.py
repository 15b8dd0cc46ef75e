"""Executors: where and in which order the stages of a plan run."""

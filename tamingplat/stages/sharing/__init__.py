"""Sharing trained models: a folder with weights, a description and a model card, here or on the Hugging Face hub."""

from tamingplat.stages.sharing.description import (
    CARD,
    DESCRIPTION,
    PriorEntry,
    SharedModel,
    TokenizerEntry,
    read_description,
    weights_file,
)
from tamingplat.stages.sharing.gather import Gathered, gather
from tamingplat.stages.sharing.hub import Hub
from tamingplat.stages.sharing.made import ColumnEntry, OriginEntry, ResultsEntry, RowEntry
from tamingplat.stages.sharing.pull import PullReport, PullRequest, pull
from tamingplat.stages.sharing.push import push
from tamingplat.stages.sharing.results import shared_results
from tamingplat.stages.sharing.select import Selected, select_model
from tamingplat.stages.sharing.target import Target, parse_target

__all__ = [
    "CARD",
    "DESCRIPTION",
    "ColumnEntry",
    "Gathered",
    "Hub",
    "OriginEntry",
    "PriorEntry",
    "PullReport",
    "PullRequest",
    "ResultsEntry",
    "RowEntry",
    "Selected",
    "SharedModel",
    "Target",
    "TokenizerEntry",
    "gather",
    "parse_target",
    "pull",
    "push",
    "read_description",
    "select_model",
    "shared_results",
    "weights_file",
]

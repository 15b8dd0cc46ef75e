"""The pipeline: plan, train tokenizers, encode, train priors, sample, evaluate."""

from tamingplat.stages.execute import Request, execute, make_tasks, read_progress
from tamingplat.stages.failures import describe as describe_error
from tamingplat.stages.pictures import collect_pictures
from tamingplat.stages.plan import Plan, PlannedCell, ReferenceRow
from tamingplat.stages.planner import make_plan, planned_keys
from tamingplat.stages.refusals import runtime_problems
from tamingplat.stages.results import Column, ResultRow, Results, collect_results, join_results
from tamingplat.stages.run import accelerator_of, run_stage, use_threads
from tamingplat.stages.stage import Stage, StageContext

__all__ = [
    "Column",
    "Plan",
    "PlannedCell",
    "ReferenceRow",
    "Request",
    "ResultRow",
    "Results",
    "Stage",
    "StageContext",
    "accelerator_of",
    "collect_pictures",
    "collect_results",
    "describe_error",
    "execute",
    "join_results",
    "make_plan",
    "make_tasks",
    "planned_keys",
    "read_progress",
    "run_stage",
    "runtime_problems",
    "use_threads",
]

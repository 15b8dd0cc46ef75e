"""The pipeline: plan, train tokenizers, encode, train priors, sample, evaluate."""

from tamingplat.stages.estimates import StageEstimate, TrainingEstimator
from tamingplat.stages.execute import Request, execute, make_tasks, read_progress
from tamingplat.stages.export_checkpoint import export_checkpoint
from tamingplat.stages.failures import describe as describe_error
from tamingplat.stages.import_checkpoint import ImportReport, ImportRequest, import_checkpoint
from tamingplat.stages.manifest_problems import metric_problems, runtime_problems
from tamingplat.stages.model_record import StoredArtifacts
from tamingplat.stages.pictures import collect_pictures
from tamingplat.stages.plan import Plan, PlannedCell, PlannedTokenizer, ReferenceRow
from tamingplat.stages.planner import make_plan, planned_keys
from tamingplat.stages.result_rows import Column, Instrument, ResultRow, Results, Tuning, join_results
from tamingplat.stages.results import collect_results
from tamingplat.stages.run import accelerator_of, run_stage, use_threads
from tamingplat.stages.stage import Stage, StageContext

__all__ = [
    "Column",
    "ImportReport",
    "ImportRequest",
    "Instrument",
    "Plan",
    "PlannedCell",
    "PlannedTokenizer",
    "ReferenceRow",
    "Request",
    "ResultRow",
    "Results",
    "Stage",
    "StageContext",
    "StageEstimate",
    "StoredArtifacts",
    "TrainingEstimator",
    "Tuning",
    "accelerator_of",
    "collect_pictures",
    "collect_results",
    "describe_error",
    "execute",
    "export_checkpoint",
    "import_checkpoint",
    "join_results",
    "make_plan",
    "make_tasks",
    "metric_problems",
    "planned_keys",
    "read_progress",
    "run_stage",
    "runtime_problems",
    "use_threads",
]

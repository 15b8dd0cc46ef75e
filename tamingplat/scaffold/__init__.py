"""New plugins: a small distribution of somebody's own, written from templates, that works before it is edited.

Nothing here imports torch.
"""

from tamingplat.scaffold.naming import SCAFFOLD_KINDS, PluginNames, parse_scaffold_kind, plugin_names
from tamingplat.scaffold.project import NewProject, write_project

__all__ = ["SCAFFOLD_KINDS", "NewProject", "PluginNames", "parse_scaffold_kind", "plugin_names", "write_project"]

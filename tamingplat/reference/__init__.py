"""The reference of hooks, interfaces and settings, generated from the code. Importing this package imports no torch."""

from tamingplat.reference.components import written_value
from tamingplat.reference.document import component_document, reference_document

__all__ = ["component_document", "reference_document", "written_value"]

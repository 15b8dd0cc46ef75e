"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_sources.config import MarkovMeshConfig, PottsConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """The two sources."""
    return [
        Component(
            kind="dataset",
            name="markov-mesh",
            factory="tamingplat_sources.markov_mesh:MarkovMesh",
            summary="Images from a table p(x | left, above), each with its exact log-probability; any size and number",
            config=MarkovMeshConfig,
            paper="https://doi.org/10.1109/TIT.1965.1053827",
        ),
        Component(
            kind="dataset",
            name="potts",
            factory="tamingplat_sources.potts:Potts",
            summary="Images from a Potts field, the same mirrored, each with its exact log-probability; up to 8 pixels wide",
            config=PottsConfig,
            paper="https://doi.org/10.1017/S0305004100027419",
        ),
    ]

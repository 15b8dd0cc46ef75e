"""The hooks that a plugin implements. Its entry point, in the group ``tamingplat.plugins``, is a module with them."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from tamingplat.interfaces.component import Component

PROJECT = "tamingplat"
ENTRY_POINT_GROUP = "tamingplat.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HookSpecs:
    """Every hook, with what it is asked and when."""

    @hookspec
    def tamingplat_components(self) -> Iterable[Component]:
        """The components that this plugin offers.

        Called once, when the catalogue is made. The module that implements it, and what that module imports, must not import
        torch: components are listed long before they are built.
        """
        raise AssertionError("a hook specification is never called")

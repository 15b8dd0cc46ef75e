"""Importing what a component names as ``module:object``, which is the first time that anything heavy is imported."""

from __future__ import annotations

import importlib
import inspect

from tamingplat.interfaces import Component, TamingplatError, UnavailableError
from tamingplat.registry.loading import describe_exception, missing_package


def load_target(target: str, label: str) -> object:
    """The object that ``module:object`` names.

    Args:
        target: What to import.
        label: Names the component and its plugin in errors.

    Raises:
        UnavailableError: The import needs a package that is not installed.
        TamingplatError: The module or the object does not exist, or importing it failed.
    """
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        package = missing_package(error, target)
        if package is not None:
            raise UnavailableError(
                f"{label}: importing {module_name} needs {package}, which is not installed; "
                f"install the package that provides it (often: pip install {package})"
            ) from error
        raise TamingplatError(f"{label}: importing {module_name} failed: {describe_exception(error)}") from error
    try:
        found: object = getattr(module, name)
    except AttributeError:
        raise TamingplatError(f"{label}: the module {module_name} has no {name}; upgrade or reinstall the plugin") from None
    return found


def load_component_class(component: Component, label: str) -> type:
    """The class that a component names, checked against the interface of its kind.

    Raises:
        UnavailableError: Importing it needs a package that is not installed.
        TamingplatError: It cannot be imported, or is not a complete implementation of its interface.
    """
    # Here and not above, because it imports torch.
    from tamingplat.interfaces.models import INTERFACES

    loaded = load_target(component.factory, label)
    interface = INTERFACES[component.kind]
    if not isinstance(loaded, type) or not issubclass(loaded, interface):
        raise TamingplatError(f"{label}: {component.factory} is not a subclass of tamingplat's {interface.__name__}")
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(getattr(loaded, "__abstractmethods__", ())))
        raise TamingplatError(f"{label}: {component.factory} does not implement {missing} of {interface.__name__}")
    return loaded

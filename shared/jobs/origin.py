"""Where a handler stands: a handler in, the names by which another process finds it out; and back."""

import sys
from importlib import import_module
from types import ModuleType

import msgspec

from shared.errors import SettingsError
from shared.jobs.handlers import Handler, Handlers


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A handler by name: among the Handlers that the module knows, with the function of this name."""

    module: str
    function: str
    handler: str


def origin_of(handler: Handler) -> Origin:
    """Where a child process finds the handler; SettingsError when it cannot."""
    module = sys.modules[handler.function.__module__]
    origin = Origin(
        module=_importable_name(module, handler), function=handler.function.__qualname__, handler=handler.name
    )
    if _find(module, origin) is not handler:
        raise SettingsError(
            f"{handler.name} cannot be imported by a child process: {origin.module} must hold its Handlers "
            f"and {origin.function} under names of its own"
        )
    return origin


def load(origin: Origin) -> Handler:
    """The handler itself; SettingsError when its module holds no such handler, whatever its import raises."""
    found = _find(import_module(origin.module), origin)
    if found is None:
        raise SettingsError(f"{origin.module} holds no handler {origin.handler} when it is imported")
    return found


def _find(module: ModuleType, origin: Origin) -> Handler | None:
    known = [value for value in vars(module).values() if isinstance(value, Handlers)]
    candidates = (handler for handlers in known for handler in handlers)
    return next((one for one in candidates if _is_at(one, origin)), None)


def _is_at(handler: Handler, origin: Origin) -> bool:
    return handler.name == origin.handler and handler.function.__qualname__ == origin.function


def _importable_name(module: ModuleType, handler: Handler) -> str:
    """`__main__` is another module in each process; the one behind `python -m` has a name."""
    if module.__name__ != "__main__":
        return module.__name__
    if module.__spec__ is None:
        raise SettingsError(
            f"{handler.name} stands in the program itself, which a child process cannot import; "
            "start it with python -m, or move the handler into a module"
        )
    return module.__spec__.name

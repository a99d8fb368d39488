# SPDX-License-Identifier: Apache-2.0
"""Names for type checkers without importing typing at run time, which takes as long as the rest of the library.

mypy and pyright take the name TYPE_CHECKING for true wherever it comes from; jedi follows the value, so it is not a literal
False, which would hide from it what stands below.
"""

TYPE_CHECKING = bool(0)

if TYPE_CHECKING:
    from typing import Generic as Generic  # noqa: PLC0414  # modules take it from here
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414
    from typing import overload as overload  # noqa: PLC0414

    from typing_extensions import dataclass_transform as dataclass_transform  # noqa: PLC0414
else:

    class NamedTupleMeta(type):
        def __new__(mcs, name, bases, namespace):
            if not bases:  # NamedTuple itself
                return super().__new__(mcs, name, bases, namespace)
            from collections import namedtuple  # `import amctcfg` alone needs no class

            fields = namespace.pop("__annotations__")
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace["__module__"])
            for key, value in namespace.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=NamedTupleMeta):
        """typing's, for class statements."""

    class Generic:
        """typing's, for class statements."""

        def __class_getitem__(cls, item):
            return cls

    def overload(function):
        return function

    def dataclass_transform(**options):
        return lambda decorator: decorator

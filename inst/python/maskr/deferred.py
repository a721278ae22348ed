"""What Keras imports and hardly anybody uses waits until it is used.

Keras brings in torch's compiler for a decorator, and scikit-learn and matplotlib, where they are
installed, for wrappers and galleries: ten times the work of importing Keras itself. None of it is
lost: the modules are there, and are loaded when somebody looks into them.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import LazyLoader
from types import ModuleType

LAZY = {
    f"{package}.{module}"
    for package in ("keras", "keras.src", "keras._tf_keras.keras")
    for module in ("visualization", "wrappers")
}
"""Modules of Keras that import scikit-learn, matplotlib and OpenCV, and that Keras does not use."""

DECORATED = {"keras.src.backend.torch.image", "keras.src.backend.torch.random"}
"""Modules of Keras that import torch's compiler to keep it from compiling a function."""

COMPILER = "torch._dynamo"


def install() -> None:
    """Put off what Keras will import; does nothing for a Keras that is imported already."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


class Finder:
    """Finds the modules of `LAZY` and `DECORATED`, and nothing else."""

    @staticmethod
    def find_spec(
        name: str, path: list[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What Python finds itself, with another loader."""
        if name not in LAZY and name not in DECORATED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        if name in LAZY:
            spec.loader = LazyLoader(spec.loader)
        elif COMPILER not in sys.modules:
            spec.loader = WithoutCompiler(spec.loader.name, spec.loader.path)
        return spec


class WithoutCompiler(SourceFileLoader):
    """Runs a module that finds a stand-in where it imports torch's compiler."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and take the stand-in away."""
        stand_in = sys.modules[COMPILER] = StandIn(COMPILER)
        try:
            super().exec_module(module)
        finally:
            if sys.modules.get(COMPILER) is stand_in:
                del sys.modules[COMPILER]


class StandIn(ModuleType):
    """Torch's compiler as far as `@disable()`; asked for anything else, it becomes the real one."""

    def __getattr__(self, name: str) -> object:
        return getattr(self._real(), name)

    def disable(self, *arguments: object, **named: object) -> Callable:
        """Decorate a function that the compiler is to leave alone, once there is a compiler."""
        if arguments:
            return self._real().disable(*arguments, **named)

        def decorate(function: Callable) -> Callable:
            @functools.wraps(function)
            def alone(*args: object, **kwargs: object) -> object:
                if COMPILER not in sys.modules:
                    return function(*args, **kwargs)
                return self._real().disable(**named)(function)(*args, **kwargs)

            return alone

        return decorate

    def _real(self) -> ModuleType:
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]
        return importlib.import_module(COMPILER)

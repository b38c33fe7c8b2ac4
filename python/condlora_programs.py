"""The programs condlora and bench-condlora, which lie in the package's folder. This module imports nothing of the package, so
that they start at once."""
import importlib.util
import os
import pathlib
import sys


def openblas() -> str:
    """The file of OpenBLAS in the package scipy-openblas32, "" without the package."""
    spec = importlib.util.find_spec("scipy_openblas32")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = pathlib.Path(folder, "lib", "libscipy_openblas.so")
        if file.is_file():
            return str(file)
    return ""


def set_environment() -> None:
    """Tells the library where this Python has OpenBLAS, and NVIDIA's libraries: in its virtual environment, if it is one that
    was not activated."""
    os.environ.setdefault("CDL_OPENBLAS", openblas())
    if sys.prefix != sys.base_prefix:
        os.environ.setdefault("VIRTUAL_ENV", sys.prefix)


def run(name: str) -> None:
    """Becomes the program `name`, with this program's arguments."""
    set_environment()
    os.environ.setdefault("CDL_PYTHON", sys.executable)
    program = pathlib.Path(__file__).resolve().parent / "condlora" / "bin" / name
    os.execv(program, [name, *sys.argv[1:]])


def condlora() -> None:
    run("condlora")


def bench_condlora() -> None:
    run("bench-condlora")

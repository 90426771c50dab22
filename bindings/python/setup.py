"""Puts the library and its declarations into the package. They are taken from an installed library: the prefix that
SANDBOX_SPAWN_PREFIX names, or what `make local` leaves in the checkout."""
import os
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

HERE = Path(__file__).resolve().parent
PREFIX = Path(os.environ.get("SANDBOX_SPAWN_PREFIX", HERE / "../../build/prefix"))
HEADER = PREFIX / "include/sandbox_spawn.h"
LIBRARY = PREFIX / "lib/libsandbox_spawn.so.0"
for file in (HEADER, LIBRARY):
    if not file.exists():
        raise SystemExit(f"{file} is missing: run `make local` in the checkout, or name an installed prefix in SANDBOX_SPAWN_PREFIX")


def declarations(header: str) -> str:
    """What ffi.cdef takes: no comments, no lines of the preprocessor's, nothing for C++."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    text = re.sub(r"#ifdef __cplusplus.*?#endif[^\n]*", "", text, flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


def version(header: str) -> str:
    numbers = dict(re.findall(r"SANDBOX_VERSION_(\w+) (\d+)", header))
    return ".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH"))


class WithLibrary(build_py):
    def run(self):
        super().run()
        package = Path(self.build_lib) / "sandbox_spawn"
        (package / "_cdef.h").write_text(declarations(HEADER.read_text()))
        shutil.copyfile(LIBRARY, package / LIBRARY.name)
        (package / LIBRARY.name).chmod(0o755)


class ForOneMachine(Distribution):
    def has_ext_modules(self):
        return True


class AnyPython(bdist_wheel):
    """The library is the machine's; the Python in front of it is any."""

    def get_tag(self):
        _, _, platform = super().get_tag()
        return "py3", "none", platform


setup(version=version(HEADER.read_text()), distclass=ForOneMachine, cmdclass={"build_py": WithLibrary, "bdist_wheel": AnyPython})

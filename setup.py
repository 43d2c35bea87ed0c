"""What setup.cfg cannot say: a build copies files from the checkout's top into the package."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TOP = Path(__file__).parent
sys.path.insert(0, str(TOP))  # a build by the standard's interface has nothing of ours on it

from app.cli import shipped  # noqa: E402


class BuildWithFiles(build_py):
    """Adds what `shipped` names. An editable installation has none: it reads the checkout."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for file in shipped.files(TOP):
                target = self._copy_of(file)
                self.mkpath(str(target.parent))
                self.copy_file(str(TOP / file), str(target), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return also what is copied, for whoever lists or removes what was built."""
        copied = [] if self.editable_mode else map(self._copy_of, shipped.files(TOP))
        return [*super().get_outputs(include_bytecode), *map(str, copied)]

    def get_source_files(self) -> list[str]:
        """Return also what is copied, so that a source distribution has it."""
        return [*super().get_source_files(), *map(str, shipped.files(TOP))]

    def _copy_of(self, file: Path) -> Path:
        return Path(self.build_lib, "app", shipped.INSIDE, file)


setup(cmdclass={"build_py": BuildWithFiles})

"""Adds to pyproject.toml the start-up file which installs the import hook, in editable installs too."""

import sys
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup


class PocketrosDistribution(Distribution):
    """Lets editable installs carry data files: setuptools asks for `has_data`, which it does not define."""

    def has_data(self) -> bool:
        return bool(self.has_data_files())


site_packages = Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
setup(distclass=PocketrosDistribution, data_files=[(str(site_packages), ["pocketros.pth"])])

"""Settings for every room's tests."""

from hypothesis import settings

# Machines differ in speed and share their cores: a property holds or not, however long an example takes.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

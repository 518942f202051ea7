"""Settings for every room's tests."""

import signal

from hypothesis import settings

# What is started in the background of a script ignores Ctrl-C, and so would every process that a test starts and ends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines differ in speed and share their cores: a property holds or not, however long an example takes.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

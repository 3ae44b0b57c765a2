"""The console: pages over the three query interfaces, for the embedded backend and for a cluster.

:func:`register` mounts the pages on an application that may also answer the query APIs itself;
:func:`create_app` makes an application of the pages alone.
"""

from dashcam.console.app import create_app, register
from dashcam.console.settings import ConsoleSettings

__all__ = ["ConsoleSettings", "create_app", "register"]

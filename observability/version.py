"""The version of this release: of the library, the tools, the services and their images.

It stands here and nowhere else. `dashcam/version.py` is a link to this file; what has to repeat it, such as
the manifests' image tags, is written and compared by `.ci/release`.
"""

VERSION = "0.2.0"

"""What a killed run leaves that no namespace takes along: `python -m onenode.leftovers CGROUP`."""

import sys

from onenode.namespaces import ControlGroup

if __name__ == "__main__":
    ControlGroup(sys.argv[1]).remove()

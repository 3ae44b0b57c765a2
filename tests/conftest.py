"""What every test folder shares: the marker `verifies` and the fixture `ran` (see verifying.py)."""

pytest_plugins = ["verifying"]

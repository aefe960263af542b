"""Prints the lower bounds of pyproject.toml's run-time dependencies as pip constraints."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
for requirement in project["dependencies"]:
    print(re.sub(r">=", "==", requirement))

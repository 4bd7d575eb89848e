"""Write the oldest versions that pyproject.toml allows: `python .ci/lowest.py > requirements/lowest.txt`.

torch is not among them: `requirements/torch.txt` says which build of it the tests run with.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print the list."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest: dict[str, Version] = {}
    for text in (*project["dependencies"], *project["optional-dependencies"]["test"]):
        asked = Requirement(text)
        (bound,) = (Version(part.version) for part in asked.specifier if part.operator == ">=")
        if asked.name != "torch":
            lowest[asked.name] = max(bound, lowest.get(asked.name, bound))
    print("# The oldest versions that pyproject.toml allows, for `make test-lowest`; made by `python .ci/lowest.py`.")
    for name in sorted(lowest):
        release = (*lowest[name].release, 0, 0)[: max(3, len(lowest[name].release))]
        print(f"{name}=={'.'.join(map(str, release))}")


if __name__ == "__main__":
    main()

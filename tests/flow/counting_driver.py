"""The command line with a count of what its driver opens and builds; workers are processes of their own, not counted.

python tests/flow/counting_driver.py COUNTS.json COMMAND ARGUMENTS...
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

COUNTS = Counter[str]()


def count(owner: Any, name: str, key: str) -> None:
    """Count the calls of a function, wherever it is looked up when it is called."""
    original = getattr(owner, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        COUNTS[key] += 1
        return original(*args, **kwargs)

    setattr(owner, name, counting)


def main(out: Path, words: list[str]) -> None:
    from search.driver.environment import prepare_ray

    prepare_ray(None)
    import search.__main__
    import search.build
    import trainables.data
    from pruning.predicted_cost import CostModel

    count(trainables.data, "open_training", "openings")
    # Not every Space: a table of its dimensions walks copies that differ in one field.
    count(search.build, "Space", "spaces")
    count(CostModel, "of", "costs")
    sys.argv = ["prunefront", *words]
    try:
        search.__main__.main()
    finally:
        out.write_text(json.dumps(COUNTS))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

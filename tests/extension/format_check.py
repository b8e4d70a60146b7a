"""Run in a copy of the tree to which a format was added: prints what the product says of a set in it."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image

from retrieval.datasets.checks.check_sets import check_sets
from retrieval.datasets.checks.find_sets import open_all
from retrieval.datasets.format import Source
from retrieval.datasets.registry import FORMATS, open_retrieval, open_training, recognise

root = Path("data/flowers")
(root / "images").mkdir(parents=True)
for number in range(4):
    Image.fromarray(np.full((8, 8, 3), 60 * number, dtype=np.uint8)).save(root / "images" / f"{number}.png")
(root / "labels.csv").write_text("0.png,rose\n1.png,rose\n2.png,tulip\n3.png,tulip\n")

print(*FORMATS)
print(recognise(root))
print(open_retrieval(Path("data"), Source(path="flowers")).queries[2].positives.tolist())
print(open_training(Path("data"), Source(path="flowers", format="label_csv")).classes)
checked = check_sets(open_all(Path("data")), lambda what: nullcontext(lambda done, total: None))
print(*(f"{row.name}: {row.title}, {row.counts}" for row in checked.sets), sep="\n")
print(checked.images, checked.errors)

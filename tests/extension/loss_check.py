"""Run in a copy of the tree to which a loss was added: its settings are checked, and an epoch is trained with it."""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError

from retrieval.datasets.formats.folders import load_folder_per_class
from retrieval.images import ImageReader
from retrieval.networks.network import build_network
from retrieval.training.loop import Batches
from trainables.loss_factory import make_batches, make_loss
from trainables.settings import LossSettings
from trainables.training import Training, TrainingSetup

root = Path(sys.argv[1])
rng = np.random.default_rng(0)
for name in ("a/1", "a/2", "b/1", "b/2"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(root / f"{name}.png")
train = load_folder_per_class(root)

for wrong in ({"temperature": -1.0}, {"margin": 0.5}):
    try:
        LossSettings(name="neighbours", **wrong)
    except ValidationError as error:
        print(error.errors()[0]["msg"])
settings = LossSettings(name="neighbours", temperature=0.2, images_per_class=2)
print(LossSettings.model_validate_json(settings.model_dump_json()) == settings)
print("temperature" in LossSettings(name="triplet").model_dump())

loss = make_loss(settings, classes=2, descriptor_size=8)
batches = make_batches(settings, Batches(train, ImageReader(32), batch_size=4, seed=0))
network = build_network("mini_resnet", descriptor_size=8)
setup = TrainingSetup(loss, batches, weight_decay=0.0, device=torch.device("cpu"))
training = Training(network, setup, epochs=1, learning_rate=1e-3)
print(math.isfinite(training.train_epoch()))

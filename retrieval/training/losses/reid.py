"""The pair of losses that person re-identification trains with. Letters: N images, D descriptor size, C classes."""

from pydantic import confloat
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.networks.reid import ReIDNetwork
from retrieval.training.batch_kinds import CLASSES
from retrieval.training.losses.base import Loss
from retrieval.training.losses.batch_hard import MARGIN, PUBLISHED_MARGIN, Margin, batch_hard
from retrieval.training.losses.kind import LossKind, of_any_size
from retrieval.training.options import Option

PUBLISHED_SMOOTHING = 0.1


class ReIDPair(Loss):
    """Cross-entropy of the logits with smoothed labels, plus `batch_hard` on the features before the BatchNorm neck.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-Identification", CVPRW 2019. Differs
    from the paper: no center loss.
    """

    def __init__(self, margin: Margin = PUBLISHED_MARGIN, smoothing: float = PUBLISHED_SMOOTHING) -> None:
        super().__init__()
        self.margin = margin
        self.smoothing = smoothing

    def outputs(self, network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return descriptors N×D, features N×D before the neck and logits N×C of a `ReIDNetwork`."""
        assert isinstance(network, ReIDNetwork)
        return network.training_outputs(images_NCHW)

    def forward(self, descriptors_ND: Tensor, features_ND: Tensor, logits_NC: Tensor, labels_N: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of what `outputs` gives and class indices N; the descriptors are not used."""
        softmax = F.cross_entropy(logits_NC, labels_N, label_smoothing=self.smoothing)
        return softmax + batch_hard(features_ND, labels_N, self.margin)


REID = LossKind(
    of_any_size(ReIDPair),
    options=(
        MARGIN,
        Option("smoothing", confloat(ge=0, lt=1), PUBLISHED_SMOOTHING, "of the labels, towards all classes"),
    ),
    batches=CLASSES,
    needs_classifier=True,
    least_classes=2,
)

"""The head of person re-identification. Letters: N images, C channels, H W height and width, D descriptor size."""

from torch import Tensor, nn
from torch.nn import functional as F

_CLASSIFIER_STD = 0.001  # as the authors start it


class ReIDNetwork(nn.Module):
    """Images N×3×H×W → unit descriptors N×D from behind a BatchNorm neck, with a classifier over the training classes.

    The neck's shift stays 0, so that the classifier's hyperplanes go through the origin and the cosine between
    descriptors fits what it was trained for. Training takes `all_outputs`; a batch of one image cannot be trained on.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-Identification", CVPRW 2019
    (BNNeck).
    Differs from the paper: the backbone keeps its last stride, and the pooling is any of `retrieval.network.POOLINGS`;
    the feature before the neck, that the paper's triplet loss takes, is not handed out.
    """

    def __init__(self, backbone: nn.Module, pooling: nn.Module, projection: nn.Module, size: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.projection = projection
        self.neck = nn.BatchNorm1d(size)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(size, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=_CLASSIFIER_STD)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """N×3×H×W, normalised as in `retrieval.images.normalise` → N×D."""
        return F.normalize(self._features(images_NCHW), dim=1)

    def all_outputs(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×H×W → unit descriptors N×D and the logits of the classes, N×classes."""
        features_ND = self._features(images_NCHW)
        return F.normalize(features_ND, dim=1), self.classifier(features_ND)

    def _features(self, images_NCHW: Tensor) -> Tensor:
        return self.neck(self.projection(self.pooling(self.backbone(images_NCHW))))

"""The head of person re-identification. Letters: N images, C channels, H W height and width, D descriptor size."""

from torch import Tensor, nn
from torch.nn import functional as F

_CLASSIFIER_STD = 0.001  # as the authors start it


class ReIDNetwork(nn.Module):
    """A network with a BatchNorm neck before its unit descriptors, and a classifier over the training classes.

    The neck's shift stays 0, so that the classifier's hyperplanes go through the origin and the cosine between
    descriptors fits what it was trained for. Training takes `training_outputs`.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-Identification", CVPRW 2019
    (BNNeck).
    Differs from the paper: the backbone keeps its last stride, and the pooling is any of
    `retrieval.networks.network.POOLINGS`.
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
        """Return unit descriptors N×D of images N×3×H×W, normalised by `retrieval.images.normalise`."""
        return F.normalize(self.neck(self._features(images_NCHW)), dim=1)

    def all_outputs(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit descriptors N×D of images N×3×H×W, and the logits of the classes, N×classes."""
        descriptors_ND, _, logits_NC = self.training_outputs(images_NCHW)
        return descriptors_ND, logits_NC

    def training_outputs(self, images_NCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return unit descriptors N×D, the features N×D before the neck, and the logits of the classes.

        Raises:
            ValueError: one image alone, while the neck measures statistics.
        """
        if self.neck.training and len(images_NCHW) == 1:
            height, width = images_NCHW.shape[-2:]
            raise ValueError(
                f"one image of {height}×{width} cannot be trained on alone, as a BatchNorm neck measures its batch: "
                "images read at one size, [height, width], pass together"
            )
        features_ND = self._features(images_NCHW)
        necked_ND = self.neck(features_ND)
        return F.normalize(necked_ND, dim=1), features_ND, self.classifier(necked_ND)

    def _features(self, images_NCHW: Tensor) -> Tensor:
        return self.projection(self.pooling(self.backbone(images_NCHW)))

"""A plain stack of convolutions, as an example of a backbone. Letters: N images, C H W."""

from itertools import pairwise

from torch import Tensor, nn


class PlainNet(nn.Module):
    """Three 3×3 convolutions, each halving height and width."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(narrow, wide, 3, stride=2, padding=1) for narrow, wide in pairwise(widths)
        )
        self.out_channels = widths[-1]

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return feature maps N×64×H/8×W/8 of images N×3×H×W."""
        x_NCHW = images_NCHW
        for convolution in self.convolutions:
            x_NCHW = convolution(x_NCHW).relu()
        return x_NCHW

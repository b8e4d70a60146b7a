"""The miniature benchmark's network: an epoch takes seconds on one core. Letters: N images, C H W."""

from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, figure 2. Differs from the paper:
    nothing; written here because importing torchvision takes longer than an epoch on this network.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return N×O×H/stride×W/stride of N×C×H×W."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x_NCHW)))))
        return F.relu(inner + self.downsample(x_NCHW))


class MiniResNet(nn.Module):
    """A ResNet of basic blocks for 64-pixel images, about a million parameters.

    The stem's stride of 4 replaces the usual convolution + max-pool, so that a forward pass takes about a
    millisecond.
    """

    widths = (32, 64, 128)
    blocks = (2, 2, 3)

    def __init__(self) -> None:
        super().__init__()
        width = self.widths[0]
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=4, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        layers = []
        for index, (out, depth) in enumerate(zip(self.widths, self.blocks, strict=True)):
            first = BasicBlock(width, out, stride=1 if index == 0 else 2)
            layers.append(nn.Sequential(first, *(BasicBlock(out, out) for _ in range(depth - 1))))
            width = out
        self.layer1, self.layer2, self.layer3 = layers
        self.out_channels = width

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return feature maps N×128×H/16×W/16 of images N×3×H×W."""
        x = F.relu(self.bn1(self.conv1(images_NCHW)))
        return self.layer3(self.layer2(self.layer1(x)))

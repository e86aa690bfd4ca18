"""Keisei's ``ActorCriticResTower``, rebuilt from the shapes of a checkpoint's tensors.

A checkpoint carries no architecture, so depth, width and squeeze-and-excitation are read off its tensors.
Layers and names follow https://github.com/tachyon-beep/keisei at 735a4f4 (MIT).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import override

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.weights import load_state_dict
from hantei_evaluator.suites.shogi.actions import POLICY_SIZE
from hantei_evaluator.suites.shogi.planes import PLANES


@dataclass(frozen=True)
class Architecture:
    """What the shapes say."""

    depth: int
    width: int
    squeezed: int | None
    """Hidden channels of squeeze-and-excitation; None without it."""


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channels' means."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, width, 1)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """[n, width, 9, 9] to the same."""
        gate = torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.fc2(gate))


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, width: int, squeezed: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.se = nn.Identity() if squeezed is None else SqueezeExcitation(width, squeezed)

    @override
    def forward(self, x: Tensor) -> Tensor:
        """[n, width, 9, 9] to the same."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(x + self.se(self.bn2(self.conv2(y))))


class ResTower(nn.Module):
    """Planes [n, 46, 9, 9] to policy logits [n, 13527] and values [n]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.stem = nn.Conv2d(PLANES, width, 3, padding=1)
        self.bn_stem = nn.BatchNorm2d(width)
        self.res_blocks = nn.Sequential(
            *(ResidualBlock(width, architecture.squeezed) for _ in range(architecture.depth))
        )
        self.policy_head = _head(width, POLICY_SIZE)
        self.value_head = _head(width, 1)

    @property
    def tower_parameters(self) -> int:
        """Parameters of the residual blocks, each used 81 times a position: nearly all the work of a deep network."""
        return sum(parameter.numel() for parameter in self.res_blocks.parameters())

    @override
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and values; a value is the raw output, not squashed."""
        x = self.res_blocks(torch.relu(self.bn_stem(self.stem(planes))))
        return self.policy_head(x), self.value_head(x).squeeze(-1)


def _head(width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 81, outputs))


def load_network(path: Path, device: torch.device) -> ResTower:
    """Read a Keisei checkpoint into a network in eval mode on the device.

    Raises
    ------
    EvaluationError
        What ``load_state_dict`` raises, and CheckpointInvalid when the tensors are not this network's.
    """
    weights = load_state_dict(path)
    network = ResTower(_architecture(path, weights))
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        details = "; ".join(line.strip() for line in str(error).splitlines()[1:])[:600]
        raise _not_keisei(path, f"its tensors don't fit an ActorCriticResTower: {details}") from error
    # After the shapes: isfinite takes as much memory again as the tensor.
    infinite = [name for name, tensor in weights.items() if not bool(tensor.isfinite().all())]
    if infinite:
        raise _not_keisei(path, f"{len(infinite)} of {len(weights)} tensors hold infinity (first: {infinite[0]})")
    return network.to(device).eval()


def _architecture(path: Path, weights: Mapping[str, Tensor]) -> Architecture:
    stem = _shape(path, weights, "stem.weight", dimensions=4)
    policy = _shape(path, weights, "policy_head.4.weight", dimensions=2)
    if stem[1] != PLANES:
        raise _not_keisei(path, f"stem.weight takes {stem[1]} input planes; core46 has {PLANES}")
    if policy[0] != POLICY_SIZE:
        raise _not_keisei(path, f"policy_head.4.weight has {policy[0]} actions; {POLICY_SIZE} are supported")
    blocks = {match[1] for name in weights if (match := re.match(r"res_blocks\.(\d+)\.", name))}
    squeezes = "res_blocks.0.se.fc1.weight" in weights
    squeezed = _shape(path, weights, "res_blocks.0.se.fc1.weight", dimensions=4)[0] if squeezes else None
    return Architecture(depth=len(blocks), width=stem[0], squeezed=squeezed)


def _shape(path: Path, weights: Mapping[str, Tensor], name: str, *, dimensions: int) -> tuple[int, ...]:
    if name not in weights:
        raise _not_keisei(path, f"there is no {name} among its {len(weights)} tensors ({', '.join(list(weights)[:4])})")
    shape = tuple(weights[name].shape)
    if len(shape) != dimensions:
        raise _not_keisei(path, f"{name} has shape {list(shape)}; {dimensions} dimensions are expected")
    return shape


def _not_keisei(path: Path, what: str) -> EvaluationError:
    return EvaluationError(
        Reason.CHECKPOINT_INVALID,
        f"{path}: {what}. The shogi suite plays Keisei's ActorCriticResTower ('resnet') with {PLANES} planes and "
        f"{POLICY_SIZE} actions; use the command suite for other networks.",
    )

"""Write two TorchScript policies for CartPole-v1 into a directory: balance.pt keeps the pole up, random.pt does anything.

A trained network takes their place: torch.jit.script(actor).save("policy.pt"), where actor takes observations [n, 4] and returns
logits [n, 2].
"""

import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


class Balance(nn.Module):
    """Pushes the cart to where the pole leans and falls."""

    def __init__(self) -> None:
        super().__init__()
        # Of the cart's place and speed, the pole's angle and its speed.
        self.weight = nn.Parameter(torch.tensor([0.02, 0.05, 1.0, 0.5]))

    def forward(self, observations: Tensor) -> Tensor:
        """Observations [n, 4] to logits [n, 2]: left, right."""
        right = observations @ self.weight
        return torch.stack([-right, right], dim=1)


class Random(nn.Module):
    """Left or right, by chance."""

    def forward(self, observations: Tensor) -> Tensor:
        """Observations [n, 4] to logits [n, 2]."""
        return torch.rand(observations.shape[0], 2)


directory = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
directory.mkdir(parents=True, exist_ok=True)
warnings.simplefilter("ignore", DeprecationWarning)
torch.jit.script(Balance()).save(directory / "balance.pt")
torch.jit.script(Random()).save(directory / "random.pt")
print(f"{directory}: balance.pt, random.pt")

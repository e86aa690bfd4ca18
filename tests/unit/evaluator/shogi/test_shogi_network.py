from pathlib import Path

import pytest
import torch
from torch import Tensor

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.weights import load_state_dict
from hantei_evaluator.suites.shogi.network import Architecture, ResTower, load_network

CPU = torch.device("cpu")


@pytest.mark.parametrize("architecture", [Architecture(1, 4, None), Architecture(3, 8, 2)])
def test_depth_width_and_squeeze_are_read_off_the_shapes(tmp_path: Path, architecture: Architecture) -> None:
    original = ResTower(architecture).eval()
    torch.save({"model_state_dict": original.state_dict(), "optimizer_state_dict": {}}, tmp_path / "c.pth")
    network = load_network(tmp_path / "c.pth", CPU)
    planes = torch.rand(2, 46, 9, 9)
    with torch.inference_mode():
        logits, values = network(planes)
        assert torch.equal(logits, original(planes)[0])
    assert logits.shape == (2, 13527)
    assert values.shape == (2,)
    assert not network.training


def test_a_compiled_and_wrapped_checkpoint_loads(tmp_path: Path) -> None:
    weights = ResTower(Architecture(1, 4, None)).state_dict()
    torch.save({f"module._orig_mod.{name}": tensor for name, tensor in weights.items()}, tmp_path / "c.pth")
    assert load_network(tmp_path / "c.pth", CPU).stem.out_channels == 4


def changed(weights: dict[str, Tensor], **replacements: Tensor | None) -> dict[str, Tensor]:
    merged = weights | {name.replace("__", "."): tensor for name, tensor in replacements.items()}
    return {name: tensor for name, tensor in merged.items() if tensor is not None}


@pytest.mark.parametrize(
    ("replacements", "complaint"),
    [
        ({"stem__weight": torch.zeros(4, 50, 3, 3)}, "stem.weight takes 50 input planes; core46 has 46"),
        ({"policy_head__4__weight": torch.zeros(11259, 162)}, "has 11259 actions; 13527 are supported"),
        ({"stem__weight": None}, "there is no stem.weight among its"),
        ({"stem__weight": torch.zeros(4)}, "stem.weight has shape [4]; 4 dimensions are expected"),
        ({"bn_stem__weight": None}, 'Missing key(s) in state_dict: "bn_stem.weight"'),
        ({"aux__weight": torch.zeros(1)}, 'Unexpected key(s) in state_dict: "aux.weight"'),
        ({"value_head__4__weight": torch.zeros(1, 81)}, "size mismatch for value_head.4.weight"),
        ({"bn_stem__bias": torch.full((4,), torch.inf)}, "tensors hold infinity (first: bn_stem.bias)"),
        ({"res_blocks__2__conv1__weight": torch.zeros(4, 4, 3, 3)}, "don't fit an ActorCriticResTower"),
    ],
)
def test_another_network_is_refused_with_the_numbers(
    tmp_path: Path, replacements: dict[str, Tensor | None], complaint: str
) -> None:
    weights = dict(ResTower(Architecture(1, 4, None)).state_dict())
    torch.save(changed(weights, **replacements), tmp_path / "c.pth")
    with pytest.raises(EvaluationError) as caught:
        load_network(tmp_path / "c.pth", CPU)
    assert caught.value.reason is Reason.CHECKPOINT_INVALID
    assert complaint in str(caught.value)
    assert "c.pth" in str(caught.value)


def test_keiseis_own_checkpoint_loads_without_its_optimiser(keisei: Path) -> None:
    weights = load_state_dict(keisei / "checkpoint_ts20000.pth")
    assert len(weights) == 61
    network = load_network(keisei / "checkpoint_ts20000.pth", CPU)
    assert (len(network.res_blocks), network.stem.out_channels) == (2, 32)

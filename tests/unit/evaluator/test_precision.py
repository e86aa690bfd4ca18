import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hantei_api.base import Precision
from hantei_api.shogi import ActionPerspective
from hantei_evaluator.run.precision import CHECK_SAMPLES, MIN_AGREEMENT, autocast, choose
from hantei_evaluator.suites.shogi import agreement
from hantei_evaluator.suites.shogi.agreement import choose_precision
from hantei_evaluator.suites.shogi.network import load_network

CPU = torch.device("cpu")


def separated() -> Callable[[], Tensor]:
    """A model whose answers are far apart."""
    torch.manual_seed(1)
    layer, inputs = nn.Linear(16, 4), torch.randn(100, 16)
    clear = layer(inputs).topk(2).values
    inputs = inputs[(clear[:, 0] - clear[:, 1]) > 0.1]
    return lambda: layer(inputs)


def near_ties() -> Callable[[], Tensor]:
    """A model whose first answer is ahead by less than bf16 tells apart."""
    layer = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [1.001]]))
    return lambda: layer(torch.ones(50, 1))


def test_auto_on_a_cpu_is_fp32_and_checks_nothing() -> None:
    choice = choose(Precision.AUTO, CPU, lambda: pytest.fail("was computed"))
    assert (choice.precision, choice.agreement, choice.why) == (Precision.FP32, None, "auto on a CPU")


def test_fp32_checks_nothing() -> None:
    assert choose(Precision.FP32, CPU, lambda: pytest.fail("was computed")).precision is Precision.FP32


def test_fewer_bits_that_agree_are_used(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        choice = choose(Precision.BF16, CPU, separated())
    assert (choice.precision, choice.agreement) == (Precision.BF16, 1.0)
    assert "computes in bf16: asked for, and its argmax agrees with fp32 for 100.0%" in caplog.text


def test_fewer_bits_that_disagree_are_used_when_asked_for_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    choice = choose(Precision.BF16, CPU, near_ties())
    assert choice.precision is Precision.BF16
    assert choice.agreement is not None
    assert choice.agreement < MIN_AGREEMENT
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "agrees with fp32 for 0.0% of 50 samples, at least 99% is wanted" in caplog.text


def test_nan_in_fewer_bits_is_no_agreement() -> None:
    def overflows() -> Tensor:
        logits: Tensor = nn.Linear(4, 3)(torch.ones(8, 4))
        return logits if logits.dtype is torch.float32 else logits + torch.nan

    assert choose(Precision.BF16, CPU, overflows).agreement == 0


def test_autocast_computes_in_what_it_says() -> None:
    layer = nn.Linear(4, 4)
    for precision, dtype in (
        (Precision.FP32, torch.float32),
        (Precision.BF16, torch.bfloat16),
        (Precision.FP16, torch.float16),
    ):
        with torch.inference_mode(), autocast(precision, CPU):
            assert layer(torch.ones(1, 4)).dtype is dtype


def test_auto_takes_bf16_on_a_gpu_only_where_the_stand_in_has_it_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = torch.device("cuda")
    monkeypatch.setattr("hantei_evaluator.run.precision.autocast", lambda precision, _: autocast(precision, CPU))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old GPU")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose(Precision.AUTO, stand_in, separated()).precision is Precision.BF16
    disagreeing = choose(Precision.AUTO, stand_in, near_ties())
    assert disagreeing.precision is Precision.FP32
    assert "auto, and with bf16 argmax agrees with fp32 for 0.0%" in disagreeing.why
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert choose(Precision.AUTO, stand_in, separated()).why == "auto, and an old GPU has no bf16"


def test_a_policy_is_checked_on_positions_of_real_games(keisei_checkpoint: Path) -> None:
    states = agreement._states()
    assert len(states) == CHECK_SAMPLES
    assert max(plies for _, plies in states) > 100
    network = load_network(keisei_checkpoint, CPU)
    choice = choose_precision(network, Precision.BF16, ActionPerspective.ABSOLUTE)
    assert choice.agreement is not None
    assert 0.9 < choice.agreement <= 1.0


@pytest.fixture
def keisei_checkpoint() -> Path:
    return Path(__file__).parents[2] / "fixtures" / "keisei" / "checkpoint_ts20000.pth"

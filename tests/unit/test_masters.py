"""AdamW through float32 copies: small updates are not lost, the way is that of AdamW, and a state comes back whole."""

from __future__ import annotations

import torch

from videoseg_r1.training.masters import MasterAdamW

LR = 1e-4


def _weights() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape).bfloat16()) for shape in ((4, 3), (5,))]


def _steps(optimizer: torch.optim.Optimizer, weights: list[torch.nn.Parameter], first: int, last: int) -> None:
    for step in range(first, last):
        torch.manual_seed(step)
        for weight in weights:
            weight.grad = torch.randn(weight.shape).bfloat16().to(weight.dtype) + 0.5
        optimizer.step()
        optimizer.zero_grad()


def test_the_way_is_that_of_adamw_in_float32_rounded():
    weights = _weights()
    exact = [torch.nn.Parameter(weight.detach().float()) for weight in weights]
    _steps(MasterAdamW(weights, lr=LR, weight_decay=0.1), weights, 0, 60)
    _steps(torch.optim.AdamW(exact, lr=LR, weight_decay=0.1), exact, 0, 60)
    for weight, wanted in zip(weights, exact, strict=True):
        assert weight.dtype == torch.bfloat16
        torch.testing.assert_close(weight, wanted.bfloat16(), atol=1e-4, rtol=1e-2)


def test_updates_too_small_for_a_bfloat16_weight_add_up():
    weight = torch.nn.Parameter(torch.ones(3).bfloat16())
    optimizer = MasterAdamW([weight], lr=LR, weight_decay=0.0)
    for _ in range(200):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    # one step is 0.0001, the next smaller bfloat16 is 0.0039 away
    torch.testing.assert_close(weight.float(), torch.full((3,), 1 - 200 * LR), atol=0.004, rtol=0)
    assert float(weight.detach().max()) < 1


def test_a_state_that_comes_back_goes_on_the_same_way(tmp_path):
    straight, broken = _weights(), _weights()
    one = MasterAdamW(straight, lr=LR)
    _steps(one, straight, 0, 40)
    first = MasterAdamW(broken, lr=LR)
    _steps(first, broken, 0, 15)
    torch.save(first.state_dict(), tmp_path / "optimizer.pt")
    fresh = [torch.nn.Parameter(weight.detach().clone()) for weight in broken]
    second = MasterAdamW(fresh, lr=LR)
    second.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    _steps(second, fresh, 15, 40)
    assert all(torch.equal(a, b) for a, b in zip(straight, fresh, strict=True))

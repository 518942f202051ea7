"""Muon: what its updates are, beside torch's own of one matrix at a time, and that nothing else is touched by it."""

import copy

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import nn  # noqa: E402

from mini_diffuser_ros.training.config import OptimConfig  # noqa: E402
from mini_diffuser_ros.training.muon import orthogonal  # noqa: E402
from mini_diffuser_ros.training.optimisation import make_optimizer  # noqa: E402

RECIPE = OptimConfig(method="muon", lr=0.01, weight_decay=0.1, matrix_pace=4.0)


@given(count=st.integers(1, 3), rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 1000))
def test_all_directions_of_a_matrix_come_out_about_as_long(count, rows, columns, seed):
    matrices = torch.randn(count, rows, columns, generator=torch.Generator().manual_seed(seed)).double()
    # As far as the iteration reaches: directions a hundred times shorter than the longest are no longer made as long.
    kept = torch.linalg.svdvals(matrices)
    found = orthogonal(matrices)
    assert found.shape == matrices.shape
    for before, after in zip(kept, torch.linalg.svdvals(found), strict=True):
        long = before > 0.05 * before.norm()
        assert ((after[long] > 0.6) & (after[long] < 1.3)).all()


def test_a_step_is_that_of_torchs_own_muon_on_matrices_and_of_adamw_on_the_rest():
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim.Muon came with torch 2.9")
    torch.manual_seed(0)
    model, twin = nn.Linear(24, 40), nn.Linear(24, 40)
    twin.load_state_dict(model.state_dict())
    ours = make_optimizer(model, RECIPE)
    muon = torch.optim.Muon([twin.weight], lr=0.04, weight_decay=0.025, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW([twin.bias], lr=0.01, betas=RECIPE.betas, weight_decay=0.0)
    for group in ours.param_groups:
        group["lr"] *= group["pace"]
    for _ in range(5):
        inputs = torch.randn(16, 24)
        for network in (model, twin):
            network.zero_grad()
            network(inputs).square().sum().backward()
        ours.step()
        muon.step()
        adamw.step()
    # torch's own iterates in bfloat16; a step moves a weight by 0.01 to 0.04.
    torch.testing.assert_close(model.weight, twin.weight, rtol=0.0, atol=0.004)
    torch.testing.assert_close(model.bias, twin.bias, rtol=0.0, atol=0.001)


def test_convolutions_are_matrices_of_their_outputs_and_narrow_layers_are_left_to_adamw():
    model = nn.ParameterDict(
        {"convolution": nn.Parameter(torch.randn(24, 3, 3, 8)), "narrow": nn.Parameter(torch.randn(3, 96))}
    )
    optimizer = make_optimizer(model, RECIPE)
    sum(parameter.square().sum() for parameter in model.values()).backward()
    optimizer.step()
    assert set(optimizer.state[model["convolution"]]) == {"momentum", "step"}
    assert "exp_avg" in optimizer.state[model["narrow"]]


def test_a_step_without_a_gradient_changes_nothing():
    model = nn.Linear(20, 20)
    before = model.weight.detach().clone()
    make_optimizer(model, RECIPE).step()
    assert torch.equal(model.weight, before)


def test_what_it_keeps_goes_to_another_one_and_on_from_there():
    torch.manual_seed(0)
    model, other = nn.Linear(20, 20), nn.Linear(20, 20)
    first = make_optimizer(model, RECIPE)
    model(torch.randn(4, 20)).sum().backward()
    first.step()
    other.load_state_dict(model.state_dict())
    second = make_optimizer(other, RECIPE)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for network, optimizer in ((model, first), (other, second)):
        network.zero_grad()
        network(torch.ones(1, 20)).sum().backward()
        optimizer.step()
    assert torch.equal(model.weight, other.weight)

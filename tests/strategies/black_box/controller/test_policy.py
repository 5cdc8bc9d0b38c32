"""The policy: what it holds of sequences is a distribution, and what it samples is drawn from it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from token_spaces import Tokens, chain, every_sequence, macro, micro, pointed, recurrent
from torch import Tensor

from nas_cli.errors import CombinationError, InputError
from nas_cli.spaces.decisions import Categorical, Decision, Real, When
from nas_cli.spaces.nasbench201 import NasBench201
from nas_cli.spaces.tokens import Choice, Pointer, Subset, Tick, Token
from nas_cli.strategies.black_box.controller.policy import Controller, Policy

#: Small and far from uniform: the properties hold for any weights.
WILD = Controller(hidden=8, initial=1.5)
SHAPED = Controller(hidden=8, layers=2, initial=1.5, temperature=5, tanh=2.5)
SPACES = {"recurrent": recurrent(3), "macro": macro(3, 2)}


def uniforms(n: int, space: Tokens, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, len(space.decisions), generator=generator, dtype=torch.float64)


def uniform_policy(space: Tokens) -> Policy:
    """All heads zero."""
    policy = Controller(hidden=4).policy(space, 0).double()
    for parameter in policy.heads.parameters():
        torch.nn.init.zeros_(parameter)
    return policy


@pytest.mark.parametrize("controller", [WILD, SHAPED])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize(("name", "count"), [("recurrent", 128), ("macro", 64)])
class TestEverySequence:
    def test_their_probabilities_sum_to_1(
        self, name: str, count: int, controller: Controller, dtype: torch.dtype, most: float
    ) -> None:
        policy = controller.policy(SPACES[name], 1).to(dtype)
        score = policy.score(every_sequence(SPACES[name]))
        assert score.log_prob.shape == (count,)
        assert float(score.log_prob.detach().exp().double().sum()) == pytest.approx(1, abs=10 * most)
        assert float(score.log_prob.detach().std()) > 0.1

    def test_conditional_entropies_are_the_joint_one_on_average(
        self, name: str, count: int, controller: Controller, dtype: torch.dtype, most: float
    ) -> None:
        with torch.no_grad():
            score = controller.policy(SPACES[name], 2).to(dtype).score(every_sequence(SPACES[name]))
        p = score.log_prob.exp()
        joint = float(-(p * score.log_prob).sum())
        assert float((p * score.entropy).sum()) == pytest.approx(joint, abs=10 * most)
        assert joint < 0.999 * math.log(count)

    def test_a_sample_scores_as_it_was_sampled(
        self, name: str, count: int, controller: Controller, dtype: torch.dtype, most: float
    ) -> None:
        policy = controller.policy(SPACES[name], 3).to(dtype)
        sequences, sampled = policy.sample(uniforms(20, SPACES[name]))
        assert torch.allclose(policy.score(sequences).log_prob, sampled.log_prob, rtol=0, atol=most)
        single = torch.cat([policy.score(sequence.unsqueeze(0)).log_prob for sequence in sequences])
        assert torch.allclose(single, sampled.log_prob, rtol=0, atol=10 * most)


@pytest.mark.parametrize(
    ("space", "nats"),
    [
        (recurrent(12), 34.13784018),
        (macro(12, 6), 67.24882755),
        (pointed(5), 58.50576310 / 2),  # the sheet's is of two such cells
        (micro(5), 84.54746380),
    ],
    ids=["recurrent", "macro", "micro", "nasnet"],
)
def test_heads_of_zeros_are_uniform(space: Tokens, nats: float) -> None:
    policy = uniform_policy(space)
    _, score = policy.sample(uniforms(3, space))
    assert score.entropy.tolist() == pytest.approx([nats] * 3, abs=1e-8)
    assert score.log_prob.tolist() == pytest.approx([-nats] * 3, abs=1e-8)
    assert space.size() == pytest.approx(math.exp(nats), rel=1e-6)


def test_samples_are_drawn_from_it() -> None:
    space = recurrent(3)
    policy = WILD.policy(space, 4).double()
    every = every_sequence(space)
    expected = policy.score(every).log_prob.detach().exp()
    n = 20_000
    sequences, _ = policy.sample(uniforms(n, space))
    base = torch.tensor([4**4, 4**3, 4**2, 4, 1])
    places = torch.zeros(4**5, dtype=torch.long)
    places[every @ base] = torch.arange(len(every))
    counts = torch.bincount(places[sequences @ base], minlength=len(every))
    deviations = (counts / n - expected) / (expected * (1 - expected) / n).sqrt()
    assert float(deviations.abs().max()) < 4.5


def test_a_sample_is_a_function_of_its_own_numbers() -> None:
    space = macro(4, 3)
    policy = WILD.policy(space, 0)
    numbers = uniforms(30, space)
    together, _ = policy.sample(numbers)
    assert torch.equal(together, torch.cat([policy.sample(row.unsqueeze(0))[0] for row in numbers]))
    assert len(together.unique(dim=0)) > 5
    least, _ = policy.sample(torch.zeros_like(numbers))
    most, _ = policy.sample(torch.full_like(numbers, 1 - 2**-53))
    assert least[0].tolist() == [0] * len(space.decisions)  # the inverse of the distribution function
    assert torch.equal(most[0], policy.sizes - 1)


def test_masked_outputs_have_no_part() -> None:
    """Logits [1, 2, 3], the third masked: two values, and no gradient of the third."""
    space = Tokens([Categorical("a", (0, 1))], [Choice("a", 3, (0, 1))])
    policy = Controller(hidden=2).policy(space, 0).double()
    (head,) = policy.heads
    with torch.no_grad():
        policy.cells[0].bias_ih.copy_(torch.tensor([9.0, 9, 0, 0, 9, 9, 9, 9]))  # opens all gates
        state = policy._advanced(policy_tape(policy), None)[-1][0].detach()
        head.logits.weight.copy_(torch.tensor([[1.0], [2.0], [3.0]]) * state / (state @ state.T))  # type: ignore[union-attr]
    score = policy.score(torch.tensor([[0], [1]]))
    assert score.log_prob.exp().tolist() == pytest.approx([0.26894142, 0.73105858], abs=1e-8)
    assert score.entropy.tolist() == pytest.approx([0.58220311] * 2, abs=1e-8)
    score.log_prob[0].backward()
    slope = head.logits.weight.grad  # type: ignore[union-attr]
    assert torch.equal(slope[2], torch.zeros(2, dtype=torch.float64))
    assert bool((slope[:2] != 0).all())


def policy_tape(policy: Policy) -> Any:
    from nas_cli.strategies.black_box.controller.policy import _Tape

    start = policy.first.expand(1, -1)
    none = torch.zeros_like(start)
    return _Tape(none, [(none, none)], start, [], {}, none, none)


@pytest.mark.parametrize(
    "sequence",
    [[0, 0, 4, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 2, 0], [-1, 0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0, -2]],
)
def test_what_is_masked_is_refused(sequence: list[int]) -> None:
    policy = WILD.policy(recurrent(3), 0)
    with pytest.raises(InputError, match="no sequence of this space"):
        policy.score(torch.tensor([sequence]))


def test_gradients_are_finite_and_reach_every_weight() -> None:
    space = macro(4, 3)
    policy = Controller(hidden=8, initial=50.0).policy(space, 0)  # saturated: probabilities of 0 and 1
    sequences, _ = policy.sample(uniforms(5, space))
    score = policy.score(sequences)
    (score.log_prob.sum() + score.entropy.sum()).backward()
    assert all(bool(p.grad.isfinite().all()) for p in policy.parameters() if p.grad is not None)
    policy = WILD.policy(space, 0)
    policy.score(sequences).log_prob.sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in policy.parameters())


@pytest.mark.parametrize(
    ("c", "k", "bounds"),
    [(2.5, 4, (0.0022409492, 0.9801866627)), (0.44, 5, (0.0939531842, 0.3760626147))],
)
def test_tanh_bounds_every_probability(c: float, k: int, bounds: tuple[float, float]) -> None:
    space = Tokens([Categorical(str(n), tuple(range(k))) for n in range(20)], [Choice(str(n), k) for n in range(20)])
    policy = Controller(hidden=8, initial=100.0, tanh=c).policy(space, 0).double()
    low, high = math.log(bounds[0]), math.log(bounds[1])
    for value in range(k):
        log_p = policy.score(torch.full((1, 20), value)).log_prob.detach() / 20
        assert low - 1e-9 <= float(log_p) <= high + 1e-9
    extreme = torch.full((k,), -1e9, dtype=torch.float64)
    extreme[0] = 1e9
    from nas_cli.strategies.black_box.controller.heads import one_of, shaped

    assert float(one_of(shaped(extreme, None, c))[0].exp()) == pytest.approx(bounds[1], abs=1e-10)
    assert float(one_of(shaped(-extreme, None, c))[0].exp()) == pytest.approx(bounds[0], abs=1e-10)
    assert float(shaped(torch.tensor(3.0), 5.0, 2.5)) == pytest.approx(2.5 * math.tanh(0.6))  # temperature first


class TestConditions:
    """A token that is not to be written is as if it were not there."""

    def test_a_shorter_chain_scores_as_in_a_space_without_the_rest(self) -> None:
        long, short = chain(2, 4), chain(2, 2)
        policy, small = WILD.policy(long, 0, "layers").double(), WILD.policy(short, 0, "layers").double()
        small.load_state_dict({**policy.state_dict(), "heads.0.logits.weight": torch.zeros(1, 8),
                               "heads.0.embedding.weight": torch.zeros(1, 8)})  # fmt: skip
        sequences, _ = small.sample(uniforms(10, short), 0)
        padded = torch.cat((sequences, torch.full((10, len(long.decisions) - sequences.shape[1]), -1)), 1)
        assert torch.equal(policy.score(padded).log_prob, small.score(sequences).log_prob)
        assert torch.equal(policy.score(padded).entropy, small.score(sequences).entropy)

    def test_chains_of_several_lengths_at_once(self) -> None:
        space = chain(1, 4)
        policy = SHAPED.policy(space, 0).double()
        sequences, sampled = policy.sample(uniforms(40, space))
        assert len(sequences[:, 0].unique()) == 4
        alone = [policy.score(row.unsqueeze(0)) for row in sequences]
        assert torch.allclose(torch.cat([score.log_prob for score in alone]), sampled.log_prob, rtol=0, atol=1e-12)
        assert torch.allclose(torch.cat([score.entropy for score in alone]), sampled.entropy, rtol=0, atol=1e-12)
        for row in sequences.tolist():
            values = [None if v < 0 else (d.values() or ())[v] for d, v in zip(space.decisions, row, strict=True)]
            space.encode(space.decode(values))  # raises where the wrong ones were made

    def test_one_in_the_middle_leaves_what_follows_as_it_was(self) -> None:
        """In a batch of which some sequences have it; layers and memory of the LSTM, and its input, skip it."""
        a, c = Categorical("a", ("x", "y")), Categorical("c", (0, 1, 2))
        b = Categorical("b", (0, 1), when=When("a", ("y",)))
        space = Tokens([a, b, c], [Choice("a", 2), Choice("b", 2, anchor=True), Choice("c", 3)])
        without = Tokens([a, c], [Choice("a", 2), Choice("c", 3)])
        policy = SHAPED.policy(space, 0).double()
        small = SHAPED.policy(without, 0).double()
        named = {name: value for name, value in policy.state_dict().items() if not name.startswith("heads.1.")}
        small.load_state_dict({name.replace("heads.2.", "heads.1."): value for name, value in named.items()})
        mixed = policy.score(torch.tensor([[0, -1, 0], [1, 0, 1], [0, -1, 2], [1, 1, 1]]))
        alone = small.score(torch.tensor([[0, 0], [0, 2]]))
        for one, other in ((mixed.log_prob, alone.log_prob), (mixed.entropy, alone.entropy)):
            assert torch.allclose(one[[0, 2]], other, rtol=0, atol=1e-12)

    def test_probabilities_sum_to_1(self) -> None:
        space = chain(1, 3, 2)
        every = []
        for layers in (1, 2, 3):
            made = sum(1 + k for k in range(layers))
            rest = len(space.decisions) - 1 - made
            every += [[layers - 1, *((bits >> k) & 1 for k in range(made)), *[-1] * rest] for bits in range(2**made)]
        score = SHAPED.policy(space, 5).double().score(torch.tensor(every))
        assert len(every) == space.size()
        assert float(score.log_prob.detach().exp().sum()) == pytest.approx(1, abs=1e-12)

    def test_what_is_not_to_be_made_is_refused(self) -> None:
        policy = WILD.policy(chain(1, 2), 0)
        with pytest.raises(InputError):
            policy.score(torch.tensor([[0, 1, 1, 0]]))
        with pytest.raises(InputError):
            policy.score(torch.tensor([[1, 1, -1, -1]]))

    def test_what_is_given_is_no_part_of_the_sequence(self) -> None:
        space = chain(1, 3)
        policy = WILD.policy(space, 0, "layers").double()
        sequences, score = policy.sample(uniforms(5, space), given=2)
        assert sequences[:, 0].tolist() == [2] * 5
        assert torch.equal(policy.score(sequences).log_prob, score.log_prob)
        uniform = uniform_policy(space)
        free = uniform.score(sequences).entropy
        pinned = Policy(space, Controller(hidden=4), "layers").double()
        pinned.load_state_dict(uniform.state_dict())
        assert (free - pinned.score(sequences).entropy).tolist() == pytest.approx([math.log(3)] * 5)


@pytest.mark.parametrize(
    ("decisions", "tokens", "fault"),
    [
        ([Categorical("a", (0, 1))], [Choice("a", 3)], "a has 2 values, and its token 3"),
        ([Categorical("a", (0, 1))], [Choice("a", 2), Choice("b", 2)], "make 2 decisions, it has 1"),
        ([Categorical("a", (0, 1))], [Tick()], "make 0 decisions, it has 1"),
        ([Categorical("a", (0, 1))], [Pointer("a")], "no anchor before it"),
        ([Categorical("a", (0, 1, 2))], [Tick(), Subset("a")], "a has 3 values, and its token 2"),
        ([Categorical("a", (0,)), Categorical("b", (0, 1))], [Choice("x", 1), Choice("x", 2)], "several widths"),
        ([Real("a", 0, 1)], [Choice("a", 2)], "no end of values"),
    ],
)
def test_tokens_that_do_not_fit(decisions: list[Decision], tokens: list[Token], fault: str) -> None:
    with pytest.raises(CombinationError, match=fault):
        WILD.policy(Tokens(decisions, tokens), 0)


def test_an_unknown_decision_cannot_be_given() -> None:
    fault = r"layer: no such decision of space tokens as it is configured \(did you mean layers\?\)"
    with pytest.raises(InputError, match=fault):
        WILD.policy(chain(1, 2), 0, "layer")
    with pytest.raises(CombinationError, match="skip_2_1: is no plain choice"):
        WILD.policy(chain(1, 2), 0, "skip_2_1")


def test_a_condition_on_a_later_value() -> None:
    """Only some values of the decision above open the one below."""
    decisions: list[Decision] = [
        Categorical("a", ("x", "y", "z")),
        Categorical("b", (0, 1), when=When("a", ("y",))),
        Categorical("c", (0, 1), when=When("b", (1,))),
    ]
    space = Tokens(decisions, [Choice("a", 3), Choice("b", 2), Choice("c", 2)])
    every = torch.tensor([[0, -1, -1], [2, -1, -1], [1, 0, -1], [1, 1, 0], [1, 1, 1]])
    assert float(WILD.policy(space, 0).double().score(every).log_prob.detach().exp().sum()) == pytest.approx(
        1, abs=1e-12
    )


def test_weights_start_uniform_and_depend_on_the_seed_alone() -> None:
    space = NasBench201("nasbench201")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (Controller().policy(space, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    flat = torch.nn.utils.parameters_to_vector
    assert torch.equal(flat(one.parameters()), flat(same.parameters()))
    assert not torch.equal(flat(one.parameters()), flat(other.parameters()))
    assert 0.0999 < float(flat(one.parameters()).detach().abs().max()) <= 0.1


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": 0},
        {"layers": 0},
        {"initial": -1.0},
        {"initial": math.inf},
        {"initial": 1e39},  # beyond float32
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"tanh": -1.0},
        {"tanh": math.inf},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=name):
        Controller(**options)

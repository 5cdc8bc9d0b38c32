"""The network of a chain: what its layers read, and how sizes are brought together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_cli.cost import count
from nas_cli.networks.chain import ChainNetwork, Convolution, join
from nas_cli.networks.chain_genotype import ChainGenotype


def network(*texts: str, **options: object) -> ChainNetwork:
    return ChainNetwork(ChainGenotype.parse(texts), (1, 8, 8), 5, **options)  # type: ignore[arg-type]


def images(side: int = 8, batch: int = 2) -> Tensor:
    return torch.randn(batch, 1, side, side, generator=torch.Generator().manual_seed(0))


def seen(made: ChainNetwork, x: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """What every convolution or pooling layer read, what it made, and what came before the classifier."""
    read: list[Tensor] = []
    outputs: list[Tensor] = []
    last: list[Tensor] = []

    def convolved(_: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        read.append(given[0])
        outputs.append(result)

    parts = [part for layer in made.layers for part in layer]  # type: ignore[attr-defined]
    handles = [part.register_forward_hook(convolved) for part in parts]
    handles.append(made.classifier.register_forward_pre_hook(lambda _, given: last.append(given[0])))
    made.eval()(x)
    for handle in handles:
        handle.remove()
    return read, outputs, last[0]


def test_without_skips_all_read_the_image_and_all_are_joined() -> None:
    made = network("3x3 filters 4", "1x3 filters 6", "5x5 filters 8")
    x = images()
    read, outputs, last = seen(made, x)
    assert all(torch.equal(each, x) for each in read)
    assert torch.allclose(last, torch.cat(outputs, dim=1).mean(dim=(2, 3)))
    assert made.classifier.in_features == 4 + 6 + 8


def test_with_all_skips_only_the_last_is_a_loose_end() -> None:
    made = network("3x3 filters 4", "1x3 filters 6 from 1", "5x5 filters 8 from 1,2")
    x = images()
    read, outputs, last = seen(made, x)
    assert torch.equal(read[0], x)
    assert torch.equal(read[1], outputs[0])
    assert torch.equal(read[2], torch.cat(outputs[:2], dim=1))
    assert torch.allclose(last, outputs[2].mean(dim=(2, 3)))
    assert made.classifier.in_features == 8


def test_there_is_no_edge_to_the_next_layer_unless_it_is_named() -> None:
    made = network("3x3 filters 4", "1x3 filters 6", "5x5 filters 8 from 1")
    x = images()
    read, outputs, last = seen(made, x)
    assert torch.equal(read[1], x)
    assert torch.equal(read[2], outputs[0])
    assert torch.allclose(last, torch.cat(outputs[1:], dim=1).mean(dim=(2, 3)))


def test_smaller_inputs_are_filled_up_at_the_bottom_and_on_the_right() -> None:
    """7 -> 3 by strides of 3, then joined with the layer that keeps 7; the image itself stays as it is."""
    made = network("3x3 stride 3x3 filters 4", "3x5 filters 6", "1x1 filters 8 from 1,2", "3x3 stride 3x2 filters 2")
    x = images(side=7)
    read, outputs, last = seen(made, x)
    assert [tuple(each.shape[2:]) for each in outputs] == [(3, 3), (7, 7), (7, 7), (3, 4)]
    assert torch.equal(read[2][:, :4, :3, :3], outputs[0])
    assert not read[2][:, :4, 3:].any()
    assert not read[2][:, :4, :, 3:].any()
    assert torch.equal(read[2][:, 4:], outputs[1])
    assert torch.equal(read[3], x)
    # The classifier's mean is over all places, those filled up included.
    assert torch.allclose(last[:, 8:], outputs[3].sum(dim=(2, 3)) / 49)


def test_joining_keeps_what_is_there() -> None:
    tall, wide = torch.ones(1, 2, 5, 2), 2 * torch.ones(1, 3, 3, 4)
    found = join([tall, wide])
    assert found.shape == (1, 5, 5, 4)
    assert torch.equal(found[:, :2, :, :2], tall)
    assert torch.equal(found[:, 2:, :3], wide)
    assert found.sum() == tall.sum() + wide.sum()


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (5, 1), (7, 7)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("side", [1, 8, 7])
def test_a_convolution_is_the_strided_one(kernel: tuple[int, int], stride: tuple[int, int], side: int) -> None:
    ours = Convolution(2, 3, kernel, stride).eval()
    plain = nn.Conv2d(2, 3, kernel, stride, padding=(kernel[0] // 2, kernel[1] // 2), bias=False)
    plain.load_state_dict(ours.convolution.state_dict())
    x = torch.randn(2, 2, side, side)
    expected = torch.relu(ours.norm(plain(x)))
    assert torch.allclose(ours(x), expected, atol=1e-6)
    assert expected.shape[2:] == (-(-side // stride[0]), -(-side // stride[1]))


def test_a_block_is_dense_and_hands_on_all_that_it_made() -> None:
    made = network("3x3 filters 4", "1x3 filters 6 from 1", block=3)
    read, outputs, last = seen(made, images())
    assert [each.shape[1] for each in read] == [1, 1 + 4, 1 + 8, 12, 12 + 6, 12 + 12]
    assert torch.equal(read[2], torch.cat([images(), *outputs[:2]], dim=1))
    assert torch.equal(read[3], torch.cat(outputs[:3], dim=1))
    assert torch.allclose(last, torch.cat(outputs[3:], dim=1).mean(dim=(2, 3)))
    assert made.classifier.in_features == 18


def test_behind_a_pool_all_sides_are_halved() -> None:
    made = network("3x3 filters 4", "1x3 filters 6", "5x5 filters 8 from 1,2", pools=[1, 2])
    x = images(side=7)
    read, outputs, last = seen(made, x)
    assert [tuple(each.shape[2:]) for each in outputs] == [(7, 7), (4, 4), (2, 2)]
    pooled = nn.functional.max_pool2d(outputs[0], 2, ceil_mode=True)
    assert torch.equal(read[2][:, :4], nn.functional.max_pool2d(pooled, 2, ceil_mode=True))
    assert torch.allclose(last, outputs[2].mean(dim=(2, 3)))


def pooled_by_hand(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], average: bool) -> Tensor:
    """Place by place: the greatest or the mean value of what a window holds of the image."""
    height, width = (-(-side // step) for side, step in zip(x.shape[2:], stride, strict=True))
    found = torch.empty(*x.shape[:2], height, width)
    for row in range(height):
        for column in range(width):
            top, left = row * stride[0] - kernel[0] // 2, column * stride[1] - kernel[1] // 2
            window = x[:, :, max(top, 0) : top + kernel[0], max(left, 0) : left + kernel[1]]
            found[:, :, row, column] = window.mean(dim=(2, 3)) if average else window.amax(dim=(2, 3))
    return found


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (5, 3), (7, 7)])
@pytest.mark.parametrize("stride", [(1, 1), (1, 3), (3, 2)])
@pytest.mark.parametrize("side", [1, 8, 7])
def test_pooling_layers_by_hand(kernel: tuple[int, int], stride: tuple[int, int], side: int) -> None:
    size = f"{kernel[0]}x{kernel[1]} stride {stride[0]}x{stride[1]}"
    x = images(side)
    _, outputs, _ = seen(network(f"max_pool {size}", f"avg_pool {size}"), x)
    for output, average in zip(outputs, (False, True), strict=True):
        assert torch.allclose(output, pooled_by_hand(x, kernel, stride, average), atol=1e-6)


def test_a_pooling_layer_keeps_the_channels_of_what_it_joins() -> None:
    made = network("3x3 filters 4", "3x3 stride 2x2 filters 6", "max_pool 1x1 from 1,2", "1x1 filters 2 from 3")
    read, outputs, last = seen(made, images())
    assert [each.shape[1] for each in outputs] == [4, 6, 10, 2]
    assert torch.equal(outputs[2], join(outputs[:2]))
    assert torch.equal(read[3], outputs[2])
    assert torch.allclose(last, outputs[3].mean(dim=(2, 3)))


def test_a_pooling_layer_is_one_pool_in_any_block() -> None:
    made = network("3x3 filters 4", "avg_pool 3x3 stride 2x2 from 1", "1x3 filters 6 from 2", block=2, pools=[3])
    read, outputs, _ = seen(made, images())
    assert [each.shape[1] for each in outputs] == [4, 4, 8, 6, 6]
    pooled = nn.functional.max_pool2d(outputs[2], 2)  # the third part is the pooling layer
    assert torch.equal(read[3], pooled)
    assert torch.equal(read[4], torch.cat([pooled, outputs[3]], dim=1))


def test_a_convolution_without_normalisation_has_a_bias() -> None:
    made = network("3x3 filters 4 no norm", "3x3 filters 4")
    assert not any(name.startswith("layers.0") for name, _ in made.named_buffers())
    (bare, normed) = (layer[0] for layer in made.layers)  # type: ignore[index]
    assert normed.convolution.bias is None
    x = images()
    plain = nn.functional.conv2d(x, bare.convolution.weight, bare.convolution.bias, padding=1)
    _, outputs, _ = seen(made, x)
    assert torch.allclose(outputs[0], torch.relu(plain), atol=1e-6)
    assert bare.convolution.bias.abs().min() > 0


def test_parameters_by_hand_with_pools_and_without_normalisation() -> None:
    made = count(
        lambda: network("3x5 filters 4 no norm", "max_pool 3x3 stride 2x2 from 1", "1x3 filters 6 from 2"), (1, 8, 8)
    )
    first, last = 15 * 4, 3 * 4 * 6
    assert made.params == first + 4 + last + 2 * 6 + 6 * 5 + 5
    assert made.macs == 64 * first + 16 * last + 6 * 5


def test_parameters_by_hand() -> None:
    made = count(
        lambda: network("3x5 filters 4", "1x3 filters 6", "5x5 filters 8 from 1,2", added_filters=2), (1, 8, 8)
    )
    convolutions = 15 * 6 + 3 * 8 + 25 * (6 + 8) * 10
    assert made.params == convolutions + 2 * (6 + 8 + 10) + 10 * 5 + 5
    assert made.macs == 64 * convolutions + 10 * 5

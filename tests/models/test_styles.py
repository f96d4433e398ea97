"""Styles in networks and in plans of floats and integers, against torch, the integer oracle and plain arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models import (
    CheckpointError,
    ConfigError,
    Kernels,
    ModelConfig,
    NameGenerator,
    OptionError,
    SamplingOptions,
    Vocabulary,
)
from models.inference import PrefixMemory
from models.inference.predictor import Predictor, predictor_of
from models.kernel.int8.lstm import LOGIT_BITS
from models.networks import Network, build_model
from models.networks.layers import FlattenConsecutive
from models.networks.recurrent import LSTM
from models.styles import NO_STYLES, Styles
from tests.models import int8_oracle as oracle
from tests.models.int8_kernels import as_arrays
from tests.models.reference import assert_same, draw, reference_draw
from tests.models.styled import CONFIGS, STYLES, VOCABULARY, S, batch_of, generator_of, seeded, styled_network
from training.quantization import quantize

pytestmark = pytest.mark.usefixtures("kernels")  # sets the processor level before anything is compiled


@pytest.fixture(scope="module", params=list(CONFIGS))
def network(request: pytest.FixtureRequest) -> Network:
    """A network of each architecture that has styles."""
    return styled_network(CONFIGS[request.param])


def gradients(output: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Gradients of a random projection of `output`."""
    weights = torch.randn(output.shape, generator=seeded(3))
    return list(torch.autograd.grad((output * weights).sum(), inputs, retain_graph=True))


def close(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Tensors are close pair by pair."""
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def by_cells(layer: LSTM, x: Tensor, positions: Tensor, styles: Tensor) -> Tensor:
    """The layer by torch's own cell, row by row, with a bias of its own for each row."""
    assert layer.style is not None
    rows: list[Tensor] = []
    state = None
    for row, position, style in zip(x, positions, styles, strict=True):
        if position == 0:
            state = torch.zeros(1, len(layer.hidden)), torch.zeros(1, len(layer.hidden))
        bias = layer.bias + (style[:, None] * layer.style).sum(0)
        state = torch.lstm_cell(row[None], state, layer.input.T, layer.hidden.T, bias, torch.zeros_like(bias))
        rows.append(state[0][0])
    return torch.stack(rows)


def lstm_layers(network: Network) -> list[LSTM]:
    """The recurrent layers of a network."""
    return [layer for layer in network.layers.layers.values() if isinstance(layer, LSTM)]


@pytest.mark.parametrize("kind", ["lstm", "lstm2"])
def test_lstm_with_styles_equals_cells_of_torch(kind: str) -> None:
    """Rows of the batch have different styles; outputs, and gradients of all parameters."""
    network = styled_network(CONFIGS[kind])
    ids, positions, styles = batch_of()
    x = network.layers.layers["embedding"](ids)
    for layer in lstm_layers(network):
        x = by_cells(layer, x, positions, styles)
    ours, theirs = network.names(ids, positions, styles=styles), network.layers.layers["output"](x)
    close([ours], [theirs])
    close(gradients(ours, network.parameters()), gradients(theirs, network.parameters()))


def test_lstm_equals_torch_lstm_with_moved_bias() -> None:
    layer, twin = LSTM(3, 4, seeded(5), n_styles=2), nn.LSTM(3, 4, batch_first=True)
    assert layer.style is not None
    x, row = torch.randn(6, 3, generator=seeded(6)), torch.tensor([1.0, 1.0])
    with torch.no_grad():
        layer.style.normal_(generator=seeded(7))
        twin.weight_ih_l0.copy_(layer.input.T)
        twin.weight_hh_l0.copy_(layer.hidden.T)
        twin.bias_ih_l0.copy_(layer.bias + layer.style[0] + layer.style[1])
        twin.bias_hh_l0.zero_()
    close([layer.over_names(x, torch.arange(6), 1, None, row.expand(6, 2))], [twin(x[None])[0][0]])


def test_gradient_of_style_equals_finite_differences() -> None:
    layer = LSTM(3, 2, seeded(5), n_styles=2)
    layer.input, layer.hidden, layer.bias = (a.detach().double() for a in (layer.input, layer.hidden, layer.bias))
    x, positions = torch.randn(5, 3, generator=seeded(6), dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    styles = torch.tensor([[1.0, 0.0]] * 3 + [[1.0, 1.0]] * 2, dtype=torch.float64)
    style = torch.randn(2, 8, generator=seeded(7), dtype=torch.float64, requires_grad=True)

    def function(style: Tensor) -> Tensor:
        layer.style = style
        return layer.over_names(x, positions, 1, None, styles)

    assert torch.autograd.gradcheck(function, [style])


def test_gates_shown_of_an_lstm_have_the_styles() -> None:
    layer, seen = LSTM(3, 2, seeded(5), n_styles=2), dict[str, Tensor]()
    assert layer.style is not None
    with torch.no_grad():
        layer.style.normal_(generator=seeded(7))
    x, styles = torch.randn(4, 3, generator=seeded(6)), torch.tensor([[0.0, 1.0]] * 4)
    h = layer.over_names(x, torch.arange(4), 1, lambda name, output: seen.update({name: output}), styles)
    before = torch.cat([torch.zeros(1, 2), h[:-1]])
    i, f, g, o = (x @ layer.input + before @ layer.hidden + layer.bias + layer.style[1]).chunk(4, dim=1)
    close([seen["sigmoid"], seen["tanh"]], [torch.cat([i, f, o], 1).sigmoid(), g.tanh()])


def by_functions(network: Network, ids: Tensor, positions: Tensor, styles: Tensor, training: bool) -> Tensor:
    """A stack by torch's functions, with styles added between normalisation and activation."""
    layers, config = network.layers.layers, network.config
    arrays = {f"{name}.{key}": a for name, layer in layers.items() for key, a in layer.arrays().items()}
    x, dilation = nn.functional.embedding(ids, arrays["embedding.weight"]), 1
    for i, fan in enumerate(config.fans):
        x = FlattenConsecutive(fan).over_names(x, positions, dilation) @ arrays[f"linear{i}.weight"]
        running = (arrays[f"norm{i}.{key}"].clone() for key in ("running_mean", "running_var"))
        x = nn.functional.batch_norm(x, *running, arrays[f"norm{i}.gamma"], arrays[f"norm{i}.beta"], training)
        x = torch.tanh(x + (styles[:, :, None] * arrays[f"style{i}.weight"]).sum(1))
        dilation *= fan
    return x @ arrays["output.weight"] + arrays["output.bias"]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["wavenet", "mlp"])
def test_styles_of_stack_come_after_normalisation(kind: str, training: bool) -> None:
    network, (ids, positions, styles) = styled_network(CONFIGS[kind]), batch_of()
    network.layers.train(training)
    theirs = by_functions(network, ids, positions, styles, training)
    ours = network.names(ids, positions, styles=styles)
    close([ours], [theirs])
    close(gradients(ours, network.parameters()), gradients(theirs, network.parameters()))


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_styled_network_starts_as_one_without(kind: str) -> None:
    plain, styled = (build_model(CONFIGS[kind], 9, seeded(4), n_styles) for n_styles in (0, S))
    old, new = plain.state_dict(), styled.state_dict()
    assert all(torch.equal(new[name], array) for name, array in old.items())
    added = [new[name] for name in new.keys() - old.keys()]
    assert len(added) == (CONFIGS[kind].n_layers if "lstm" in kind else len(CONFIGS[kind].fans))
    assert all(len(array) == S and not array.any() for array in added)


def test_network_without_chosen_styles_ignores_them(network: Network) -> None:
    ids, positions, styles = batch_of()
    plain = build_model(network.config, len(VOCABULARY), seeded(8))
    plain.load_state_dict({name: array for name, array in network.state_dict().items() if "style" not in name})
    plain.eval()
    expected = plain.names(ids, positions)
    assert torch.equal(network.names(ids, positions), expected)
    close([network.names(ids, positions, styles=torch.zeros_like(styles))], [expected])
    assert not torch.allclose(network.names(ids, positions, styles=styles), expected, atol=0.1)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(architecture="bigram", block_size=1),
        ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=4, n_hidden=6),
    ],
)
def test_other_architectures_refuse_styles(config: ModelConfig) -> None:
    assert build_model(config, 9, seeded(1), 0)
    with pytest.raises(ConfigError, match=f"{config.architecture} learns no styles") as caught:
        build_model(config, 9, seeded(1), 2)
    assert caught.value.field == "architecture"
    assert all(name in caught.value.allowed for name in ("lstm", "wavenet", "mlp"))


CHOICES = [(), (0,), (4,), (1, 3), (0, 1, 2, 3, 4)]


def float_predictor(network: Network, kernels: Kernels) -> Predictor:
    """The predictor of a network with styles."""
    return predictor_of(network.config, network.to_arrays(), VOCABULARY, kernels, S)


@pytest.mark.parametrize("rows", CHOICES)
def test_frozen_logits_equal_the_network_with_styles(network: Network, kernels: Kernels, rows: tuple[int, ...]) -> None:
    ids = torch.tensor([0, *VOCABULARY.encode("kalomirentush")])
    styles = torch.zeros(len(ids), S)
    styles[:, list(rows)] = 1
    expected = network.names(ids, torch.arange(len(ids)), styles=styles).detach().numpy()
    found = float_predictor(network, kernels).styled(rows).logits(ids.numpy(), np.zeros(0, np.float32))
    np.testing.assert_allclose(found, expected, atol=5e-5, rtol=1e-4)


def test_frozen_model_without_choice_has_no_style(network: Network, kernels: Kernels) -> None:
    plain = {name: array for name, array in network.to_arrays().items() if "style" not in name}
    expected = predictor_of(network.config, plain, VOCABULARY, kernels)
    found, ids = float_predictor(network, kernels), np.array([0, 1, 2, 3])
    none = np.zeros(0, np.float32)
    assert (found.logits(ids, none) == expected.logits(ids, none)).all()
    assert (found.styled((1,)).styled(()).logits(ids, none) == expected.logits(ids, none)).all()


def test_styled_sampler_equals_the_plain_sampler(network: Network, kernels: Kernels) -> None:
    """The compiled plan, with and without a memory that other styles use too."""
    generator, memory = generator_of(network, kernels), PrefixMemory(1)
    for chosen in ({}, {"gender": "masculine"}, {"decade": "2010s", "gender": "feminine"}):
        styled = generator.styled(chosen)
        for options in (SamplingOptions(), SamplingOptions(0.8, top_p=0.9, prefix="ka")):
            expected = reference_draw(styled, options, 3, 0, 9)
            assert_same(draw(styled, options, 3, 0, 9), expected)
            assert_same(draw(styled, options, 3, 0, 9, memory), expected)


LETTERS = tuple("abcdefghijk")
INTEGERS = oracle.formula_model(24, len(LETTERS) + 1, 3)
EXTREME = {**INTEGERS, "styles": [[30_000, -30_000, 9_000] * 32, [20_000, -20_000, -40] * 32, [5, -5, 32_767] * 32]}


def int8_predictor(model: oracle.Arrays, kernels: Kernels) -> Predictor:
    """The predictor of a model of lists."""
    config = ModelConfig(architecture="lstm", block_size=64, n_hidden=24)
    return predictor_of(config, as_arrays(model), Vocabulary(LETTERS), kernels, len(model["styles"]))


@pytest.mark.parametrize("rows", [(), (1,), (0, 2), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("model", [INTEGERS, EXTREME], ids=["sums", "saturated"])
def test_integer_logits_with_styles_are_the_oracles(
    model: oracle.Arrays, rows: tuple[int, ...], kernels: Kernels
) -> None:
    ids = [0, 3, 1, 4, 1, 5, 9, 2, 6]
    found = int8_predictor(model, kernels).styled(rows).logits(np.array(ids), np.zeros(0, np.float32))
    assert (found * 2**LOGIT_BITS).tolist() == oracle.prefix_logits(model, ids, rows)


@pytest.mark.parametrize("rows", [(2,), (0, 1)])
@pytest.mark.parametrize("model", [INTEGERS, EXTREME], ids=["sums", "saturated"])
def test_integer_names_with_styles_are_the_oracles(
    model: oracle.Arrays, rows: tuple[int, ...], kernels: Kernels
) -> None:
    styles = Styles({"one": ("a",), "two": ("a",), "three": ("a",)})
    generator = NameGenerator(int8_predictor(model, kernels), (), 9, kernels, styles=styles)
    styled = generator.styled({list(styles.values)[row]: "a" for row in rows})
    for options in (SamplingOptions(), SamplingOptions(0.7, top_k=4, prefix="b")):
        prefix = tuple(Vocabulary(LETTERS).encode(options.prefix))
        plain = oracle.Options(options.temperature, options.top_k, prefix=prefix, max_length=9, styles=rows)
        expected = [oracle.draw(model, 5, index, plain) for index in range(4)]
        for memory in (None, PrefixMemory(1)):
            found = styled.prepare(options).candidates(5, 0, 4, memory)
            assert found == [None if ids is None else Vocabulary(LETTERS).decode(ids) for ids in expected]


def test_quantised_styles_are_nearest_steps_of_2_to_minus_11() -> None:
    network = styled_network(CONFIGS["lstm"])
    arrays = network.to_arrays()
    arrays["lstm0.style"][0, :6] = [0.5 / 2048, 1.5 / 2048, -0.5 / 2048, 16.1, -16.1, 15.9999]
    expected = [
        [max(-(2**15), min(2**15 - 1, round(Fraction(float(x)) * 2**11))) for x in row] for row in arrays["lstm0.style"]
    ]
    found = quantize(network.config, arrays)["styles"]
    assert found.dtype == np.int16
    assert found.tolist() == expected


def test_quantised_styles_change_logits_as_floats_do(kernels: Kernels) -> None:
    network, ids, none = styled_network(CONFIGS["lstm"]), np.array([0, 1, 2, 3, 4, 5]), np.zeros(0, np.float32)
    integers = predictor_of(network.config, quantize(network.config, network.to_arrays()), VOCABULARY, kernels, S)
    floats = float_predictor(network, kernels)
    for rows in CHOICES:
        exact = floats.styled(rows).logits(ids, none)
        assert np.abs(integers.styled(rows).logits(ids, none) - exact).max() < 0.1


def test_rows_count_through_all_styles_and_ascend() -> None:
    every = [(style, value) for style, values in STYLES.values.items() for value in values]
    assert [STYLES.rows_of({style: value}) for style, value in every] == [(row,) for row in range(S)]
    assert STYLES.rows_of({"decade": "1980s", "gender": "masculine"}) == (1, 3)
    assert (len(STYLES), len(NO_STYLES)) == (S, 0)
    assert STYLES.rows_of({}) == NO_STYLES.rows_of({}) == ()


def test_case_of_a_value_does_not_matter_unless_two_differ_by_it() -> None:
    styles = Styles({"sex": ("F", "M"), "size": ("l", "L")})
    assert styles.rows_of({"sex": "m"}) == (1,)
    assert styles.rows_of({"size": "L"}) == (3,)


@pytest.mark.parametrize(
    ("styles", "chosen", "message", "allowed", "nearest"),
    [
        (
            STYLES,
            {"gendre": "feminine"},
            "m@1 knows no style 'gendre'",
            "a map whose keys are among gender, decade",
            ("gender",),
        ),
        (STYLES, {"decade": "1981s"}, "m@1 knows no decade '1981s'", "one of 1950s, 1980s, 2010s for decade", None),
        (STYLES, {"gender": "1980s"}, "m@1 knows no gender '1980s'", "one of feminine, masculine for gender", ()),
        (NO_STYLES, {"gender": "feminine"}, "m@1 knows no styles", "left out: m@1 knows no styles", ()),
    ],
)
def test_unknown_style_error_says_what_is_known(
    styles: Styles, chosen: dict[str, str], message: str, allowed: str, nearest: tuple[str, ...] | None
) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        styles.rows_of(chosen, "m@1")
    assert (caught.value.field, caught.value.allowed) == ("style", allowed)
    assert caught.value.nearest[:1] == ("1980s",) if nearest is None else caught.value.nearest == nearest


ODD = {
    "another width": {"lstm0.style": np.zeros((S, 3), np.float32)},
    "one axis": {"lstm0.style": np.zeros(S, np.float32)},
    "a layer that is not there": {"lstm9.style": np.zeros((S, 28), np.float32)},
    "another architecture's": {"style0.weight": np.zeros((S, 28), np.float32)},
    "fewer rows": {"lstm0.style": np.zeros((S - 1, 28), np.float32)},
    "no axis": {"lstm0.style": np.float32(1).reshape(())},
}


@pytest.mark.parametrize(
    "odd",
    [
        *(key for key in ODD if key != "no axis"),
        "no axis",
    ],
)
def test_style_arrays_of_other_shapes_are_refused(odd: str, kernels: Kernels) -> None:
    network = styled_network(CONFIGS["lstm"])
    with pytest.raises(CheckpointError):
        predictor_of(network.config, {**network.to_arrays(), **ODD[odd]}, VOCABULARY, kernels, S)


def test_styles_of_one_layer_of_two_are_refused(kernels: Kernels) -> None:
    network = styled_network(CONFIGS["lstm2"])
    arrays = {name: array for name, array in network.to_arrays().items() if name != "lstm1.style"}
    with pytest.raises(CheckpointError):
        predictor_of(network.config, arrays, VOCABULARY, kernels, S)


def test_frozen_gated_wavenet_refuses_styles(kernels: Kernels) -> None:
    config = ModelConfig(architecture="gated_wavenet", block_size=4, n_embd=4, n_hidden=6)
    arrays = build_model(config, len(VOCABULARY), seeded(1)).to_arrays()
    with pytest.raises(CheckpointError):
        predictor_of(config, {**arrays, "style0.weight": np.zeros((S, 6), np.float32)}, VOCABULARY, kernels, S)

"""Make a version with integer weights from a published one, with new losses and card."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from data import Split
from models import Draft, Kernels, ModelRegistry, Version
from models.kernel.int8.model import has_integers, int8_model, style_bias
from models.store.publishing import draft_generator, draft_of
from training.comparison import Gap, names_gap
from training.dataset import Examples
from training.errors import TrainingError
from training.evaluation import measured
from training.evaluation import name_losses as network_losses
from training.kneser_ney import ORDER, KneserNey
from training.model_card import losses_section, names_section, replace_sections
from training.publishing import QUANTIZED, load_network, recreate_split, style_rows
from training.quality import draw, likelihood, measure, quality_lines
from training.quantization import name_losses, quantize, split_losses, styled_loss
from training.run import STYLED_DEV
from training.sampling_stats import names_by_style, sampling_stats
from training.styles import StyleTable

SAMPLES = 20_000
# How much the dev loss may suffer, in nats per character.
MAX_LOSS_INCREASE = 0.002


def quantized_draft(version: Version, registry: ModelRegistry, kernels: Kernels, samples: int = SAMPLES) -> Draft:
    """Return a version with integer weights as a draft, its losses and its card measured again.

    Raises `TrainingError` for a version that is quantised already or cannot be, and where the dev loss suffers too
    much.
    """
    source = draft_of(version.folder)
    if has_integers(source.arrays):
        raise TrainingError(f"{version.reference} has integer weights already; name the version that was trained.")
    arrays, split = quantize(source.config, source.arrays), recreate_split(version)
    model, style = int8_model(source.config, arrays), style_bias(arrays)

    def losses(names: Sequence[str]) -> NDArray[np.float64]:
        return name_losses(model, style, names, source.vocabulary)

    part = measured(split)
    metrics = split_losses(source.config, arrays, split, source.vocabulary)
    if (rows := style_rows(version)) is not None:
        styled = StyleTable.of(part.dev, rows, source.styles)
        metrics[STYLED_DEV] = styled_loss(source.config, arrays, part.dev, source.vocabulary, styled)
    increase = metrics["dev"] - version.manifest.metrics["dev"]
    if increase > MAX_LOSS_INCREASE:
        raise TrainingError(f"The dev loss would rise by {increase:.4f}; at most {MAX_LOSS_INCREASE} is allowed.")
    draft = replace(
        source,
        metrics=metrics,
        arrays=arrays,
        training={**source.training, QUANTIZED: version.reference},
    )
    generator = draft_generator(draft, kernels)
    names = draw(generator, samples)
    quality = quality_lines(
        measure(names, split.train, split.dev, listed=split.test),
        likelihood(losses, names, part.train, part.dev, source.vocabulary.split),
    )
    card = replace_sections(
        source.files["card.md"].decode(),
        [
            losses_section(
                metrics, _comparison(version, split, registry, losses(part.dev)), "loss.png" in source.files
            ),
            names_section(sampling_stats(generator), names_by_style(generator)),
            "\n".join(quality),
        ],
    )
    return replace(draft, files={**source.files, "card.md": card.encode()})


def _comparison(version: Version, split: Split, registry: ModelRegistry, dev_losses: NDArray[np.float64]) -> list[str]:
    """Return the lines of the card that compare the dev loss with other models of the same split."""
    vocabulary, dev_names = version.manifest.alphabet, measured(split).dev
    dev, mine = Examples.of(dev_names, vocabulary), torch.from_numpy(dev_losses)
    source = names_gap(network_losses(load_network(version), dev), mine, dev.lengths)
    lines = [
        f"Its weights are those of `{version.reference}`, rounded to 8-bit integers (model format 2): on dev they cost "
        f"{source}. Training and pictures below are those of `{version.reference}`.",
    ]
    simpler = next((v for v in registry.versions(version.dataset) if v.manifest.architecture == "wavenet"), None)
    if simpler is not None and recreate_split(simpler).dev == split.dev:
        gap = names_gap(mine, network_losses(load_network(simpler), dev), dev.lengths)
        lines.append(f"On dev it is {_side(gap, '`wavenet`')}, compared pair by pair over the dev names.")
    counts = KneserNey.fit(split.train, vocabulary).name_losses(dev_names)
    gap = names_gap(mine, counts, dev.lengths)
    counting = f"counting (interpolated Kneser-Ney of order {ORDER} on the same split)"
    return [*lines, f"On dev it is {_side(gap, counting)}, pair by pair over the dev names."]


def _side(gap: Gap, other: str) -> str:
    """Return the words "better than `other` by" the gap, or "worse" where it is negative."""
    return f"{'better' if gap.mean > 0 else 'worse'} than {other} by {Gap(abs(gap.mean), gap.error)}"

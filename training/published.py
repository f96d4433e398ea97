"""Published versions as networks again: their losses computed anew from their own names. Nothing is written."""

import torch

from data import Split, split_names
from models import Version
from models.networks import Network, build_model
from models.store.checkpoint import NAMES, load_checkpoint
from training.evaluation import split_losses


def network_of(version: Version) -> Network:
    """Return the version's network, in evaluation mode. Raises `CheckpointError` where its files were altered."""
    checkpoint = load_checkpoint(version.folder)
    manifest = checkpoint.manifest
    network = build_model(manifest.config, len(manifest.alphabet), torch.Generator())
    network.load_arrays(checkpoint.arrays)
    network.eval()
    return network


def split_of(version: Version) -> Split:
    """Return the split that the version was trained with, from its names and its split seed."""
    names = version.file(NAMES).decode().splitlines()
    return split_names(names, version.manifest.data.split_seed)


def published_losses(version: Version, device: torch.device | str = "cpu") -> dict[str, float]:
    """Return the losses on train, dev and test, in nats per character."""
    network = network_of(version)
    network.to(device)
    return split_losses(network, split_of(version), version.manifest.alphabet, device)

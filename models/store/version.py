"""A served version: verified, loaded, with its files on demand. The snapshot finds it by name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from models.errors import CheckpointError, unknown
from models.inference import NameGenerator
from models.manifest import Manifest
from models.store.checkpoint import CASING, MANIFEST, NAMES, WEIGHTS, read_verified


@dataclass(frozen=True)
class Version:
    """A verified version: its manifest, its generator, and its other files on demand."""

    manifest: Manifest
    generator: NameGenerator
    folder: Path

    @cached_property
    def reference(self) -> str:
        """E.g. "human/wavenet@1"."""
        return self.manifest.reference

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.manifest.dataset

    @property
    def model(self) -> str:
        """The name of the version in answers: its reference."""
        return self.reference

    @property
    def digest(self) -> str:
        """The digest that the names depend on beside the request: weights, list, spellings, and sampling."""
        files = self.manifest.files
        spelled = f" {files[CASING].sha256}" if CASING in files else ""
        return f"{self.reference} {files[WEIGHTS].sha256} {files[NAMES].sha256} {self.manifest.sampling}{spelled}"

    def styled(self, chosen: Mapping[str, str]) -> "Version":
        """Return the version with these values of its styles, e.g. {"gender": "feminine"}. Raises `OptionError`."""
        return replace(self, generator=self.generator.styled(chosen, self.reference)) if chosen else self

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the trained weights, not folded. Raises the errors of `file`."""
        return load(self.file(WEIGHTS))

    def file(self, name: str) -> bytes:
        """Return a file that the manifest lists.

        Raises `UnknownReference` for any other name and after a removal of the version, and `CheckpointError` if the
        file was altered.
        """
        if name not in self.manifest.files:
            raise unknown("file", name, self.manifest.files, f"{self.reference} has no file")
        try:
            return read_verified(self.folder, self.manifest, name)
        except CheckpointError:
            if (self.folder / MANIFEST).exists():
                raise
        raise unknown("file", name, [], f"{self.reference} was removed, and with it")

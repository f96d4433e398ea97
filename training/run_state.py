"""The state of an interrupted run on disk, from which the run continues exactly.

`state.json` identifies the run and names the file of tensors with its digest. It is replaced last, atomically, so that
there is always one complete state. The folder is outside every store.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from models.store.atomic_files import replace_file
from training.config import TrainingConfig
from training.errors import TrainingError

_DOCUMENT = "state.json"
# The command-line option of each origin.
_ORIGINS = {"start": "--start", "teachers": "--teacher"}


class _Record(BaseModel):
    """The contents of `state.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    list_sha256: str
    config: dict[str, object]
    origin: dict[str, str] = {}
    step: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    tensors: Annotated[str, Field(pattern=r"\Astep-[0-9]{1,12}\.safetensors\z")]
    sha256: str


@dataclass(frozen=True)
class Saved:
    """A saved state: its step, the seconds of training so far, and the trainer's tensors."""

    step: int
    seconds: float
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class RunState:
    """The folder with the state of one run.

    A run is identified by its list (the digest of the file), its hyperparameters, and its pretrained versions as in
    `Job.origin`.
    """

    folder: Path
    list_sha256: str
    config: TrainingConfig
    origin: Mapping[str, str] = field(default_factory=dict)

    def step(self) -> int | None:
        """Return the step of the saved state, None if there is no readable one."""
        try:
            record = self._record()
        except TrainingError:
            return None
        return record.step if record else None

    def save(self, state: Saved) -> None:
        """Replace the saved state. Raises `TrainingError` if the disk is full or read-only."""
        content = save(dict(state.tensors))
        name = f"step-{state.step}.safetensors"
        record = _Record(
            list_sha256=self.list_sha256,
            config=_plain(self.config),
            origin=dict(self.origin),
            step=state.step,
            seconds=state.seconds,
            tensors=name,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / name, content)
            replace_file(self.folder / _DOCUMENT, (record.model_dump_json(indent=2) + "\n").encode())
            for old in self.folder.glob("step-*.safetensors"):
                if old.name != name:
                    old.unlink()
        except OSError as error:
            raise TrainingError(
                f"The state of the run cannot be written to {self.folder}: {error.strerror}. "
                "Free some space there, or name another folder with --runs."
            ) from error

    def load(self) -> Saved:
        """Return the saved state. Raises `TrainingError` if there is none or it belongs to another run."""
        record = self._record()
        if record is None:
            raise TrainingError(f"No interrupted run lies in {self.folder}; leave out --resume to start one.")
        self._refuse_other_run(record)
        path = self.folder / record.tensors
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != record.sha256:
                raise TrainingError(f"{path} is damaged; leave out --resume to start again.")
            return Saved(record.step, record.seconds, load(content))
        except (OSError, SafetensorError, ValueError) as error:
            raise TrainingError(f"{path} cannot be read ({error}); leave out --resume to start again.") from error

    def remove(self) -> None:
        """Remove the state of a finished run."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self) -> _Record | None:
        path = self.folder / _DOCUMENT
        try:
            return _Record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise TrainingError(f"{path} cannot be read; leave out --resume to start again.") from None

    def _refuse_other_run(self, record: _Record) -> None:
        lead = f"The interrupted run in {self.folder} was"
        end = "Give the same again, or leave out --resume to start again."
        if record.list_sha256 != self.list_sha256:
            raise TrainingError(f"{lead} on another list of names. {end}")
        differing = [
            f"{given} {record.origin.get(key, 'none')}, not {self.origin.get(key, 'none')}"
            for key, given in _ORIGINS.items()
            if record.origin.get(key) != self.origin.get(key)
        ]
        then, now = _flat(record.config), _flat(_plain(self.config))
        differing += [f"{key} {then.get(key)}, not {now.get(key)}" for key in now if then.get(key) != now.get(key)]
        if differing or set(then) != set(now):
            raise TrainingError(f"{lead} made with other settings ({'; '.join(differing)}). {end}")


def _plain(config: TrainingConfig) -> dict[str, object]:
    document: dict[str, object] = json.loads(config.model_dump_json())
    return document


def _flat(config: Mapping[str, object]) -> dict[str, object]:
    model = config.get("model")
    return {**{k: v for k, v in config.items() if k != "model"}, **(model if isinstance(model, dict) else {})}

"""The state of an interrupted run on disk, so that it can go on as if nothing had happened.

`state.json` tells which run it belongs to and names the file of tensors with its digest; it is replaced last, in one
step, so that there is always one whole state. It lies outside every store: nothing here is a version.
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
# What brings each origin of a run about on the command line.
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
    """A state: after which step, how many seconds of training it took so far, and the trainer's tensors."""

    step: int
    seconds: float
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class RunState:
    """Where the state of one run lies: of one list (by the digest of its file), one set of hyperparameters, and the
    versions that it goes on from and learns from, as `Job.origin` names them.
    """

    folder: Path
    list_sha256: str
    config: TrainingConfig
    origin: Mapping[str, str] = field(default_factory=dict)

    def step(self) -> int | None:
        """Return the step of the state that lies here, None if there is none that can be read."""
        try:
            record = self._record()
        except TrainingError:
            return None
        return record.step if record else None

    def save(self, state: Saved) -> None:
        """Put this state in the place of an older one. Raises `TrainingError` where the disk is full or read-only."""
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
        """Return the state that lies here. Raises `TrainingError` where there is none, or it is of another run."""
        record = self._record()
        if record is None:
            raise TrainingError(f"No interrupted run lies in {self.folder}; leave out --resume to start one.")
        self._refuse_other_run(record)
        path = self.folder / record.tensors
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != record.sha256:
                raise TrainingError(f"{path} is damaged; leave out --resume to start anew.")
            return Saved(record.step, record.seconds, load(content))
        except (OSError, SafetensorError, ValueError) as error:
            raise TrainingError(f"{path} cannot be read ({error}); leave out --resume to start anew.") from error

    def remove(self) -> None:
        """Take the state away: the run it belongs to is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self) -> _Record | None:
        path = self.folder / _DOCUMENT
        try:
            return _Record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise TrainingError(f"{path} cannot be read; leave out --resume to start anew.") from None

    def _refuse_other_run(self, record: _Record) -> None:
        lead = f"The interrupted run in {self.folder} was"
        end = "Give the same again, or leave out --resume to start anew."
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

"""/datasets and /models: what can be asked for, and everything a version tells of itself."""

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Path, Response

from app.dependencies import Running
from app.errors import responses
from app.processes.watching import look
from app.replies import AliasReason, DatasetSummary, ModelPage, Models, ModelSummary
from models import ModelError, ModelRegistry, Snapshot, UnknownReference, Version

router = APIRouter(tags=["models"], generate_unique_id_function=attrgetter("name"))
MEDIA_TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
}
ANY = "application/octet-stream"
FORMS: dict[str, Any] = {
    ANY: {"schema": {"type": "string", "format": "binary"}, "example": "(the bytes of model.safetensors)"},
    "image/png": {"schema": {"type": "string", "format": "binary"}, "example": "(the bytes of a picture)"},
    "image/svg+xml": {"schema": {"type": "string"}, "example": "<svg></svg>"},
    "text/markdown": {"schema": {"type": "string"}, "example": "# human/lstm\n"},
    "text/plain": {"schema": {"type": "string"}, "example": "anna\n"},
    "application/json": {"schema": {}, "example": {}},
}

Dataset = Annotated[str, Path(max_length=100, description="A name from /datasets", examples=["human"])]
Architecture = Annotated[str, Path(max_length=100, description="A kind of model, from /models", examples=["wavenet"])]
Number = Annotated[str, Path(max_length=100, description="Version or alias", examples=["latest"])]
File = Annotated[str, Path(max_length=100, description="A file that the version lists", examples=["card.md"])]


@router.get("/datasets", summary="Data sets")
async def datasets(running: Running) -> list[DatasetSummary]:
    """List the data sets that have models, each with its default."""
    now = running.registry.now
    return [_dataset(now, name) for name in now.datasets()]


@router.get("/models", summary="Models")
async def models(running: Running) -> Models:
    """List all versions with their losses, the aliases and why they were moved, and what was refused and why."""
    now = running.registry.now
    return Models(
        models=[_summary(version) for version in now.versions()],
        aliases={name: now.aliases(name).as_json() for name in now.datasets()},
        reasons=[AliasReason(**reason.model_dump()) for reason in now.reasons()],
        refused=refused(running.registry, now),
        stand_ins=stand_ins(running.registry, now),
    )


@router.get("/models/{dataset}/{architecture}/{version}", summary="One version", responses=responses(404, 422, 503))
async def model(dataset: Dataset, architecture: Architecture, version: Number, running: Running) -> ModelPage:
    """Give everything a version tells of itself: card, losses, hyperparameters, data, files."""
    found, card = await _read(running.registry, dataset, f"{architecture}@{version}", _card)
    manifest = found.manifest
    address = f"/models/{manifest.dataset}/{manifest.architecture}/{manifest.version}/files"
    return ModelPage(
        **_summary(found).model_dump(),
        config=manifest.config.model_dump(),
        training=dict(manifest.training),
        data=manifest.data.model_dump(),
        vocabulary=list(manifest.vocabulary),
        golden=list(manifest.golden),
        card=card.decode(),
        files={name: f"{address}/{name}" for name in manifest.files},
    )


@router.get(
    "/models/{dataset}/{architecture}/{version}/files/{name}",
    summary="A file of a version",
    response_class=Response,
    responses={**responses(404, 422, 503), 200: {"content": FORMS}},
)
async def file(dataset: Dataset, architecture: Architecture, version: Number, name: File, running: Running) -> Response:
    """Give one of the files that the version's manifest lists: card, plot, weights, names."""
    _, content = await _read(running.registry, dataset, f"{architecture}@{version}", lambda it: it.file(name))
    return Response(content, media_type=MEDIA_TYPES.get(name.rpartition(".")[2], ANY))


def _card(version: Version) -> bytes:
    return version.file("card.md") if "card.md" in version.manifest.files else b""


async def _read(
    registry: ModelRegistry, dataset: str, model: str, read: Callable[[Version], bytes]
) -> tuple[Version, bytes]:
    """Return a version and what `read` reads of it. Where it was removed since the last look, look again: an alias
    means another one by now.
    """
    found = registry.resolve(dataset, model)
    try:
        return found, read(found)
    except UnknownReference:
        if not registry.changed():
            raise
    await anyio.to_thread.run_sync(look, registry)
    found = registry.resolve(dataset, model)
    return found, read(found)


def _summary(version: Version) -> ModelSummary:
    manifest = version.manifest
    return ModelSummary(
        model=version.reference,
        architecture=manifest.architecture,
        version=manifest.version,
        parameters=manifest.parameters,
        losses=manifest.metrics,
        created=manifest.created,
    )


def _dataset(now: Snapshot, name: str) -> DatasetSummary:
    versions = now.versions(name)
    try:
        default = now.resolve(name).reference
    except ModelError:
        default = None
    data = versions[-1].manifest.data
    return DatasetSummary(
        dataset=name,
        title=data.title,
        names=data.names,
        longest=data.longest,
        licence=data.licence,
        default=default,
        models=[version.reference for version in versions],
    )


def refused(registry: ModelRegistry, now: Snapshot) -> dict[str, str]:
    """Return what was refused, and why, without the paths of this machine."""
    return {name: without_paths(registry, reason) for name, reason in now.refused.items()}


def stand_ins(registry: ModelRegistry, now: Snapshot) -> list[str]:
    """Return which aliases mean another version than they say, without the paths of this machine."""
    return [without_paths(registry, line) for line in now.stand_ins]


def without_paths(registry: ModelRegistry, text: str) -> str:
    """Return `text` with places in a store told from the store's root on, and the file of pins by its name alone."""
    if registry.pins is not None:
        text = text.replace(f" in {registry.pins.place}.", f" in {registry.pins.name}.")
    for store in registry.stores:
        text = text.replace(f"{store.root}/", "")
        # A relative root tells nothing of the machine, and may be as short as a full stop.
        text = text.replace(f"{store.root}", store.root.name) if store.root.is_absolute() else text
    return text

"""/datasets and /models: what can be asked for, and everything about a version."""

from collections.abc import Awaitable, Callable
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response

from app.dependencies import Service, ServiceDep
from app.responses import AliasReason, DatasetSummary, ModelPage, Models, ModelSummary
from app.store_watcher import refresh
from app.web.errors import responses
from app.web.files import ANY, file_response
from app.web.openapi import UNCHANGED
from models import ModelError, ModelRegistry, Snapshot, UnknownReference, Version
from models.errors import unknown
from models.store.checkpoint import CASING, NAMES, TABLE

CARD = "card.md"
Content = TypeVar("Content")

router = APIRouter(tags=["models"], generate_unique_id_function=attrgetter("name"))
FILE_CONTENT: dict[str, Any] = {
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


@router.get("/datasets", summary="List data sets")
async def datasets(service: ServiceDep) -> list[DatasetSummary]:
    """List the data sets that have models, each with its default."""
    now = service.registry.now
    return [_dataset(now, name) for name in now.datasets()]


@router.get("/models", summary="List models")
async def models(service: ServiceDep) -> Models:
    """List all versions with losses, aliases with reasons, and refused versions with reasons."""
    now = service.registry.now
    return Models(
        models=[_summary(version) for version in now.versions()],
        aliases={name: now.aliases(name).as_json() for name in now.datasets()},
        reasons=[AliasReason(**reason.model_dump()) for reason in now.reasons()],
        refused=refused(service.registry, now),
        fallbacks=fallbacks(service.registry, now),
    )


@router.get(
    "/models/{dataset}/{architecture}/{version}", summary="Describe a version", responses=responses(404, 422, 503)
)
async def model(dataset: Dataset, architecture: Architecture, version: Number, service: ServiceDep) -> ModelPage:
    """Return everything about a version: card, losses, hyperparameters, data, files."""
    found = service.registry.resolve(dataset, f"{architecture}@{version}")
    card = b""
    if CARD in found.manifest.files:
        found, card = await _retry(service.registry, dataset, f"{architecture}@{version}", _card)
    manifest = found.manifest
    address = f"{service.settings.root_path}/models/{manifest.dataset}/{manifest.architecture}/{manifest.version}/files"
    return ModelPage(
        **_summary(found).model_dump(),
        config=manifest.config.model_dump(),
        training=dict(manifest.training),
        data=manifest.data.model_dump(),
        vocabulary=list(manifest.vocabulary),
        golden=list(manifest.golden),
        card=card.decode(),
        files={name: f"{address}/{name}" for name in _public_files(found, service)},
    )


@router.get(
    "/models/{dataset}/{architecture}/{version}/files/{name}",
    summary="Download a file of a version",
    response_class=Response,
    responses={**responses(404, 422, 503), **UNCHANGED, 200: {"content": FILE_CONTENT}},
)
async def file(
    dataset: Dataset, architecture: Architecture, version: Number, name: File, service: ServiceDep, request: Request
) -> Response:
    """Return one of the files that the version's manifest lists: card, picture, weights, names.

    The training list of your own data set, names.txt, table.tsv and casing.txt, is served only where the setting
    NAMEWAVE_OWN_LISTS is true.
    """

    async def answer(found: Version) -> Response:
        public = _public_files(found, service)
        if name not in public:
            raise unknown("file", name, public, f"{found.reference} has no file")
        entry = found.manifest.files[name]
        return await file_response(request, name, entry.sha256, entry.size, partial(found.file, name))

    return (await _retry(service.registry, dataset, f"{architecture}@{version}", answer))[1]


def _public_files(version: Version, service: Service) -> list[str]:
    """Return the files of a version that anyone may read: not the names of an operator's own list."""
    own = version.folder.is_relative_to(service.registry.stores[-1].root)
    private = {NAMES, TABLE, CASING} if own and not service.settings.own_lists else set()
    return [name for name in version.manifest.files if name not in private]


async def _card(version: Version) -> bytes:
    return await anyio.to_thread.run_sync(version.file, CARD)


async def _retry(
    registry: ModelRegistry, dataset: str, model: str, read: Callable[[Version], Awaitable[Content]]
) -> tuple[Version, Content]:
    """Return a version and what `read` makes of it; refresh if it was removed since the last refresh."""
    while True:
        found = registry.resolve(dataset, model)
        try:
            return found, await read(found)
        except UnknownReference:
            if not registry.changed():
                raise
        await anyio.to_thread.run_sync(refresh, registry)


def _summary(version: Version) -> ModelSummary:
    manifest = version.manifest
    return ModelSummary(
        model=version.reference,
        architecture=manifest.architecture,
        version=manifest.version,
        parameters=manifest.parameters,
        losses=manifest.metrics,
        created=manifest.created,
        styles=_styles(version),
    )


def _dataset(now: Snapshot, name: str) -> DatasetSummary:
    versions = now.versions(name)
    try:
        default = now.resolve(name)
    except ModelError:
        default = None
    # Versions may have learned from different lists.
    typical = default or versions[-1]
    data = typical.manifest.data
    return DatasetSummary(
        dataset=name,
        title=data.title,
        names=data.names,
        longest=typical.generator.longest,
        licence=data.licence,
        default=default and default.reference,
        models=[version.reference for version in versions],
        styles=_styles(typical),
    )


def _styles(version: Version) -> dict[str, list[str]]:
    return {name: list(values) for name, values in version.generator.styles.values.items()}


def refused(registry: ModelRegistry, now: Snapshot) -> dict[str, str]:
    """Return the refused versions with the reasons, without the paths of this machine."""
    return {name: without_paths(registry, reason) for name, reason in now.refused.items()}


def fallbacks(registry: ModelRegistry, now: Snapshot) -> list[str]:
    """Return the aliases that fall back to another version, without the paths of this machine."""
    return [without_paths(registry, line) for line in now.fallbacks]


def without_paths(registry: ModelRegistry, text: str) -> str:
    """Return `text` with paths relative to their store, and the pins file by its name."""
    if registry.pins is not None:
        text = text.replace(f" in {registry.pins.place}.", f" in {registry.pins.name}.")
    for store in registry.stores:
        if store.name != f"{store.root}":
            text = text.replace(store.name, "the bucket")
        text = text.replace(f"{store.root}/", "")
        # A relative root shows nothing of the machine, and may be just a dot.
        text = text.replace(f"{store.root}", store.root.name) if store.root.is_absolute() else text
    return text

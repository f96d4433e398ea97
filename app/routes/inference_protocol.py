"""/v2: health and metadata after the Open Inference Protocol, so that standard probes and clients find their way. Names
are drawn at /generate: there is no /v2 infer.

A model is called by its data set ("human", the default there) or with its architecture ("human.lstm").
"""

from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from app.bodies import StrictRoute
from app.dependencies import Running, Service
from app.errors import UNAVAILABLE, model_problem, responses
from app.replies import ModelMetadata, ModelReady, ServerLive, ServerMetadata, ServerReady, TensorMetadata
from app.routes.health import VERSION
from models import ModelError, Version


class ProtocolRoute(StrictRoute):
    """A route whose problems also tell their detail as `error`, where clients of the protocol look for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that tells errors so."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except ModelError as error:
                return model_problem(error, as_error=True)

        return told


router = APIRouter(
    prefix="/v2", tags=["inference protocol"], route_class=ProtocolRoute, generate_unique_id_function=attrgetter("name")
)
Model = Annotated[
    str, Path(max_length=100, description="`human`, or with the architecture `human.lstm`", examples=["human.lstm"])
]
Number = Annotated[str, Path(max_length=100, description="Version or alias", examples=["latest"])]
INPUTS = [TensorMetadata(name=name, datatype="INT64", shape=[1]) for name in ("count", "seed")]
OUTPUTS = [TensorMetadata(name="names", datatype="BYTES", shape=[-1])]


@router.get("", summary="Server metadata")
async def server_metadata() -> ServerMetadata:
    """Tell name and version of the server."""
    return ServerMetadata(version=VERSION)


@router.get("/health/live", summary="Is the server alive?")
async def server_live() -> ServerLive:
    """Answer as long as the process does."""
    return ServerLive()


@router.get("/health/ready", summary="Is the server ready?", responses={503: {"model": ServerReady}})
async def server_ready(running: Running, response: Response) -> ServerReady:
    """Answer 200 while every data set's default model is served, else 503."""
    ready = not running.registry.problems()
    if not ready:
        response.status_code = UNAVAILABLE
    return ServerReady(ready=ready)


@router.get("/models/{name}", summary="Model metadata", responses=responses(404, 422, 503))
async def model_metadata(name: Model, running: Running) -> ModelMetadata:
    """Tell the versions of a model, and what it takes and gives."""
    return _metadata(running, _version(running, name, None))


@router.get("/models/{name}/versions/{version}", summary="Metadata of a version", responses=responses(404, 422, 503))
async def version_metadata(name: Model, version: Number, running: Running) -> ModelMetadata:
    """Tell the versions of a model, and what it takes and gives."""
    return _metadata(running, _version(running, name, version))


@router.get("/models/{name}/ready", summary="Is a model ready?", responses=responses(404, 422, 503))
async def model_ready(name: Model, running: Running) -> ModelReady:
    """Answer 200 while the model is served."""
    _version(running, name, None)
    return ModelReady(name=name)


@router.get(
    "/models/{name}/versions/{version}/ready", summary="Is a version ready?", responses=responses(404, 422, 503)
)
async def version_ready(name: Model, version: Number, running: Running) -> ModelReady:
    """Answer 200 while the version is served."""
    _version(running, name, version)
    return ModelReady(name=name)


def _version(running: Service, name: str, version: str | None) -> Version:
    dataset, _, architecture = name.partition(".")
    found = running.registry.resolve(dataset, architecture or None)
    return running.registry.resolve(dataset, f"{found.manifest.architecture}@{version}") if version else found


def _metadata(running: Service, version: Version) -> ModelMetadata:
    manifest = version.manifest
    versions = [v.manifest for v in running.registry.versions(manifest.dataset)]
    return ModelMetadata(
        name=f"{manifest.dataset}.{manifest.architecture}",
        versions=[str(m.version) for m in versions if m.architecture == manifest.architecture],
        platform=f"namewave_{manifest.architecture}",
        inputs=INPUTS,
        outputs=OUTPUTS,
    )

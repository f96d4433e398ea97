# Two targets: `serve`, the default, is the service without torch; `train` publishes into the store they share.
#   docker build -t namewave .
#   docker build -t namewave --build-arg EXTRAS="redis telemetry" .
#   docker build -t namewave-train --target train .

FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NAMEWAVE_STORE=/var/lib/namewave/artifacts \
    NAMEWAVE_KERNELS=/opt/namewave/kernels
WORKDIR /app
# Serving dependencies are a layer of their own: they change less often than the code.
COPY requirements/serve.txt requirements/serve.txt
RUN python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/serve.txt
# One uid for both images, so that they can share a volume; a new volume takes the folder's owner from here.
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin namewave \
    && install -d -o 10001 -g 10001 /var/lib/namewave /var/lib/namewave/artifacts
COPY models models

FROM base AS train
COPY requirements/train.txt requirements/train.txt
RUN python -m pip install --no-cache-dir -r requirements/train.txt
COPY data data
COPY training training
USER 10001
ENV NAMEWAVE_KERNELS=/tmp/kernels MPLCONFIGDIR=/tmp/matplotlib NAMEWAVE_RUNS=/var/lib/namewave/runs
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "-m", "training"]
CMD ["--help"]

FROM base AS serve
# What only some want, e.g. EXTRAS="redis telemetry": pinned, by hash, to the versions that the rest has.
ARG EXTRAS=""
COPY requirements/bucket.txt requirements/bulk.txt requirements/redis.txt requirements/telemetry.txt requirements/
RUN for extra in $EXTRAS; do \
        python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r "requirements/$extra.txt" || exit 1; \
    done
COPY app app
# Machine code for every processor level, compiled once, here: a start then only loads it.
RUN python -m app compile --folder "$NAMEWAVE_KERNELS" && python -m compileall -q app models
USER 10001
ENV NAMEWAVE_HOST=0.0.0.0 NAMEWAVE_PORT=8000 NAMEWAVE_LOG_FORMAT=json
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "app"]
CMD ["serve"]

"""Run one request's sampling, JSON or stream: its quota, admission, deadline and metrics."""

from types import TracebackType

from app.admission.controller import AdmissionController, AdmittedJob
from app.admission.cost_model import CostModel
from app.metrics import Metrics
from app.names.jobs import SamplingJob
from app.security.rate_limiter import RequestQuota
from app.web.negotiation import JSON

# Chunks of fewer candidates teach the cost model nothing.
MIN_LEARNT_CANDIDATES = 32


class Execution:
    """Run one job within its quota, admission and deadline; a context manager.

    Entering it raises `RateLimitExceeded`; `run`, `run_inline` and `next_chunk` raise `Overloaded`. After `deadline`
    seconds the job is stopped.
    """

    def __init__(
        self,
        job: SamplingJob,
        quota: RequestQuota | None,
        admission: AdmissionController,
        cost_model: CostModel,
        metrics: Metrics,
        deadline: float,
    ) -> None:
        self.job, self.quota, self.metrics, self._deadline = job, quota, metrics, deadline
        self._admission, self._cost_model = admission, cost_model
        self._admitted: AdmittedJob | None = None
        self._start, self._counted = admission.clock(), (0, 0, 0)

    async def __aenter__(self) -> "Execution":
        if self.quota is not None:
            job = self.job
            candidates = self._cost_model.candidates(job.request, job.source, job.max_attempts)
            await self.quota.reserve(job.expected_charge(candidates))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._admitted is not None:
            self._admitted.__exit__()
        self.count()
        if self.job.stream.attempts > self.job.stream.names:
            self.metrics.count_rejections(self.job.stream.refused)
        if self.quota is not None:
            await self.quota.settle(self.job.charged)

    async def run_inline(self) -> bytes:
        """Return the answer of a small job, or b"" if it is not finished after what fits into the event loop."""
        job, answer = self.job, b""
        while not job.finished and job.fits_inline:
            answer = await self._run_inline()
        return answer

    async def run(self) -> bytes:
        """Return the whole answer; at the deadline, what there is."""
        answer = b""
        while not self.job.finished:
            answer += await self.next_chunk()
        return answer

    async def next_chunk(self) -> bytes:
        """Return the next chunk of the job: a small one from the event loop, else from a thread."""
        job = self.job
        if self._admitted is None and job.fits_inline:
            return await self._run_inline()
        return await self._run_in_thread()

    async def _run_inline(self) -> bytes:
        job, stream = self.job, self.job.stream
        names, attempts = stream.names, stream.attempts
        chunk, seconds = await self._admission.run_inline(job.next_chunk, job.started)
        attempts = stream.attempts - attempts
        # A few candidates say little, and most requests are for a few.
        if attempts >= MIN_LEARNT_CANDIDATES:
            names = stream.names - names
            self._cost_model.update(job.request, job.source, names, attempts, seconds)
        return chunk

    async def _run_in_thread(self) -> bytes:
        job, stream = self.job, self.job.stream
        if self._admitted is None:
            seconds = self._cost_model.seconds(job.request, job.source, job.max_attempts)
            # A stream that has begun is not refused any more.
            has_begun = job.started and job.media != JSON
            self._admitted = (await self._admission.admit(seconds, has_begun)).__enter__()
        names, attempts = stream.names, stream.attempts
        chunk = await self._admitted.run(job.next_chunk)
        names, attempts = stream.names - names, stream.attempts - attempts
        self._cost_model.update(job.request, job.source, names, attempts, self._admitted.last)
        # The deadline of a stream counts seconds of sampling alone, because its client may read slowly.
        seconds = self._admission.clock() - self._start if job.media == JSON else self._admitted.used
        if not (job.finished or job.stopped) and seconds > self._deadline:
            self.metrics.cut.inc()
            job.stop()
        return chunk

    def count(self) -> None:
        """Add what was sampled since the last call to the metrics."""
        stream, (names, attempts, characters) = self.job.stream, self._counted
        self._counted = (stream.names, stream.attempts, stream.characters)
        self.metrics.count_sampling(
            self.job.source.reference, stream.names - names, stream.attempts - attempts, stream.characters - characters
        )

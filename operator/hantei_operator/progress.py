"""How far running evaluations are: asked from the evaluators themselves, and only ever decoration.

An evaluator out of reach leaves progress unknown; it never changes a phase, a clock or a reason.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable

import aiohttp
from pydantic import ValidationError

from hantei_api.names import EVALUATOR_PORT
from hantei_api.status import Progress
from hantei_operator.domain.facts import PodFacts

logger = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0
TIMEOUT_SECONDS = 1.0
CONCURRENCY = 20
MAX_BYTES = 16 * 1024


async def poll(pods: Callable[[], Iterable[PodFacts]], take: Callable[[PodFacts, Progress], None]) -> None:
    """Ask every ready pod for its progress every 10 s, 20 at a time, until cancelled."""
    limit = asyncio.Semaphore(CONCURRENCY)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:

        async def ask(pod: PodFacts) -> None:
            async with limit:
                progress = await _ask(session, pod.address)
            if progress is not None:
                take(pod, progress)

        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            await asyncio.gather(*(ask(pod) for pod in pods() if pod.address), return_exceptions=True)


async def _ask(session: aiohttp.ClientSession, address: str) -> Progress | None:
    host = f"[{address}]" if ":" in address else address
    try:
        async with session.get(f"http://{host}:{EVALUATOR_PORT}/status", allow_redirects=False) as response:
            text = await response.content.read(MAX_BYTES)
            return progress_from(text)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        logger.debug("progress of %s is unknown: %s", address, error)
        return None


def progress_from(text: bytes) -> Progress | None:
    """The progress in an evaluator's /status; None when there is none or it makes no sense."""
    try:
        body = json.loads(text)
        done, total, eta = body["done"], body.get("total"), body.get("etaSeconds")
        words = f"{100 * done / total:.0f}%" if total else str(done)
        return Progress(done=done, total=total, eta_seconds=round(eta, 1) if eta is not None else None, text=words)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError, RecursionError, OverflowError):
        return None

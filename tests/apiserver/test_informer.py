"""The informer knows what a real API server knows, also after its streams break."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kubernetes import client

from hantei_api.names import RUN_LABEL, RUN_UID_LABEL
from hantei_operator.cluster import informer as informer_module
from hantei_operator.cluster.client import Body, Client
from hantei_operator.cluster.informer import Informer
from hantei_operator.cluster.paths import JOBS, path
from hantei_operator.cluster.store import Entry
from support.waiting import eventually

Seen = tuple[str, str, int]
"""Namespace, name and a number that a test changes."""


def reduce(body: Body) -> Seen:
    return (body["metadata"]["namespace"], body["metadata"]["name"], body["spec"].get("activeDeadlineSeconds", 0))


class Jobs:
    """Jobs of a test's namespace."""

    def __init__(self, api: client.ApiClient, namespace: str) -> None:
        self.client: Client = Client(api)
        self.namespace = namespace

    def create(self, name: str, run_uid: str = "run-uid") -> Body:
        labels = {RUN_LABEL: "run", RUN_UID_LABEL: run_uid}
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "evaluator", "image": "hantei:1"}]}}
        body = {"metadata": {"name": name, "labels": labels}, "spec": {"template": template}}
        return self._call("POST", path(JOBS, self.namespace), body)

    def change(self, name: str, seconds: int) -> Body:
        return self._call("PATCH", path(JOBS, self.namespace, name), {"spec": {"activeDeadlineSeconds": seconds}})

    def delete(self, name: str) -> None:
        self._call("DELETE", path(JOBS, self.namespace, name), {"propagationPolicy": "Background"})

    def _call(self, method: str, item: str, body: Body) -> Body:
        return self.client.call(method, item, body=body, timeout_seconds=5)


@pytest.fixture
def jobs(api: client.ApiClient, namespace: str) -> Jobs:
    return Jobs(api, namespace)


@asynccontextmanager
async def following(jobs: Jobs, changes: list[Any], **options: Any) -> AsyncIterator[Informer[Seen]]:
    options = {"namespaces": [jobs.namespace], "label_selector": RUN_LABEL} | options
    informer = Informer(jobs.client, JOBS, reduce=reduce, on_change=lambda *change: changes.append(change), **options)
    informer.start(asyncio.get_running_loop())
    try:
        await asyncio.wait_for(informer.wait_synced(), 20)
        yield informer
    finally:
        informer.stop()


async def soon(check: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, check)


def test_it_lists_page_by_page_and_then_follows(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer_module, "PAGE_SIZE", 2)
    for number in range(5):
        jobs.create(f"job-{number}")
    changes: list[Any] = []

    async def scenario() -> None:
        async with following(jobs, changes) as informer:
            assert sorted(each[1] for each in informer.values()) == [f"job-{number}" for number in range(5)]
            assert informer.age_seconds() < 20
            jobs.create("late", "other")
            await soon(lambda: informer.by_run("other"))
            jobs.change("late", 60)
            await soon(lambda: informer.get(jobs.namespace, "late") == (jobs.namespace, "late", 60))
            jobs.delete("late")
            await soon(lambda: informer.get(jobs.namespace, "late") is None)

    asyncio.run(scenario())
    late = [change for change in changes if "late" in str(change)]
    assert late == [
        (None, (jobs.namespace, "late", 0)),
        ((jobs.namespace, "late", 0), (jobs.namespace, "late", 60)),
        ((jobs.namespace, "late", 60), None),
    ]


def test_it_follows_on_after_its_stream_broke(jobs: Jobs) -> None:
    async def scenario() -> None:
        changes: list[Any] = []
        async with following(jobs, changes) as informer:
            (stream,) = informer._streams.values()
            await soon(lambda: stream._watching is not None)
            assert stream._watching is not None
            stream._watching.stop()
            jobs.create("meanwhile")
            await soon(lambda: informer.get(jobs.namespace, "meanwhile"))
            assert changes == [(None, (jobs.namespace, "meanwhile", 0))]

    asyncio.run(scenario())


class Expired:
    """Stand-in for a stream from a version that the API server no longer has."""

    def __iter__(self) -> Iterator[Body]:
        status = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
        yield {"type": "ERROR", "object": status}

    def stop(self) -> None:
        raise AssertionError("ends by itself")


class Forgetful(Client):
    """A client of the real API server; on demand its next stream is an expired one."""

    expired = False

    def stream(self, path: str, **options: Any) -> Any:
        if self.expired:
            self.expired = False
            return Expired()
        return super().stream(path, **options)


def test_when_its_position_is_gone_it_lists_again_and_says_what_vanished(api: client.ApiClient, jobs: Jobs) -> None:
    async def scenario() -> None:
        changes: list[Any] = []
        jobs.create("stays")
        jobs.client = forgetful = Forgetful(api)
        async with following(jobs, changes) as informer:
            (stream,) = informer._streams.values()
            await soon(lambda: stream._watching is not None)
            ghost = (jobs.namespace, "ghost", 0)
            stream.store.apply(Entry((jobs.namespace, "ghost"), 1, "run-uid", ghost), deleted=False)
            changes.clear()
            forgetful.expired = True
            assert stream._watching is not None
            stream._watching.stop()
            await soon(lambda: changes)
            assert changes == [(ghost, None)]
            assert [each[1] for each in informer.values()] == ["stays"]

    asyncio.run(scenario())


def test_an_own_answer_is_known_at_once_and_announced_once(jobs: Jobs) -> None:
    async def scenario() -> None:
        changes: list[Any] = []
        async with following(jobs, changes) as informer:
            informer.put(jobs.create("own"))
            assert informer.get(jobs.namespace, "own") == (jobs.namespace, "own", 0)
            jobs.create("next")
            await soon(lambda: informer.get(jobs.namespace, "next"))
            assert [new[1] for _, new in changes] == ["own", "next"]

    asyncio.run(scenario())


def test_without_namespaces_it_follows_them_all_and_only_what_is_labelled(api: client.ApiClient, jobs: Jobs) -> None:
    async def scenario() -> None:
        body = jobs.create("labelled")
        del body["metadata"]
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
        client.BatchV1Api(api).create_namespaced_job(
            jobs.namespace, {"metadata": {"name": "plain"}, "spec": {"template": template}}
        )
        async with following(jobs, [], namespaces=()) as informer:
            assert informer.get(jobs.namespace, "labelled")
            assert informer.get(jobs.namespace, "plain") is None

    asyncio.run(scenario())


def test_a_kind_that_is_not_served_is_never_synced_and_ends_nothing(jobs: Jobs) -> None:
    async def scenario() -> None:
        kind = ("/apis/hantei.dev/v1alpha1", "nothings")
        informer = Informer(jobs.client, kind, reduce=reduce, on_change=lambda *_: None)
        informer.start(asyncio.get_running_loop())
        (stream,) = informer._streams.values()
        await soon(lambda: stream._failures > 1)
        assert not informer.synced
        assert informer.age_seconds() == float("inf")
        informer.stop()

    asyncio.run(scenario())

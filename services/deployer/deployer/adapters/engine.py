"""Docker Swarm: Swarm services, tasks, networks, images. Only what carries our label is changed."""

import contextlib
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.contracts import labels
from slipway.contracts.registry import fetched
from slipway.runtime.engine import EngineMissing, EngineRefused, EngineTransport
from slipway.runtime.logging import logger

from deployer.adapters.views import OVER, health_of, release_view, task_view
from deployer.adapters.ways_out import WaysOut
from deployer.rollout.domain import Health, SwarmServiceView, TaskView
from deployer.rollout.releases import Found, Owner
from deployer.rollout.render import placed

_EVENTS = ("start", "kill", "die", "destroy", "health_status")
_BY_ITSELF = {"complete", "failed", "rejected"}
_ONCE = {"TERM", "INT", "QUIT", "15", "2", "3"}
"""The signals of which lifeline hands on no repeat."""


def _is_over(task: Mapping[str, Any]) -> bool:
    return task["Status"]["State"] in OVER


def _container(task: Mapping[str, Any]) -> str:
    return (task["Status"].get("ContainerStatus") or {}).get("ContainerID", "")


def _being_ended(task: Mapping[str, Any]) -> bool:
    """It holds something, and Swarm starts its container no more."""
    marks = task["Spec"]["ContainerSpec"].get("Labels") or {}
    ends = task.get("DesiredState") in ("shutdown", "remove") and not _is_over(task)
    return ends and labels.HOLDS in marks and _container(task) != ""


def _held(marks: Mapping[str, str]) -> frozenset[str]:
    return frozenset(filter(None, marks.get(labels.HOLDS, "").split(",")))


class Engine:
    def __init__(self, api: EngineTransport, instance: str, registry_port: int) -> None:
        self._engine = api
        self._instance = instance
        self._registry_port = registry_port
        self._api: tuple[int, int] = (0, 0)
        self._odd: set[str] = set()
        """Ids of Swarm services that are no releases, though they are marked so: said once."""
        self.query = api.query
        self.ways_out = WaysOut(api, instance)

    async def knows_start_interval(self) -> bool:
        if self._api == (0, 0):
            found = await self.query("version")
            major, minor = found["ApiVersion"].split(".")
            self._api = (int(major), int(minor))
        return self._api >= (1, 44)

    def _filter(self, *marks: str) -> str:
        return json.dumps({"label": [f"{labels.INSTANCE}={self._instance}", *marks]})

    async def releases(self, owner: Owner | None = None) -> Found:
        """All of the instance, or one service's, without their tasks. One question."""
        mark = labels.SERVICE if owner is None else f"{labels.SERVICE}={owner[1]}"
        views: Found = {}
        for found in await self.query("services", params={"filters": self._filter(mark)}):
            marks = found["Spec"]["Labels"]
            try:
                view, of = release_view(found), (marks[labels.ORGANIZATION], marks[labels.SERVICE])
            except (KeyError, TypeError) as error:
                self._say_odd(found, error)
                continue
            views.setdefault(of, {})[view.name] = view
        return views

    def _say_odd(self, found: Mapping[str, Any], error: Exception) -> None:
        if found["ID"] not in self._odd:
            self._odd.add(found["ID"])
            name = found["Spec"].get("Name")
            logger().warning("a Swarm service is no release", name=name, lacks=str(error))

    async def tasks(
        self, releases: Collection[str] | None = None
    ) -> dict[str, tuple[TaskView, ...]]:
        """Id of a release → its tasks, oldest first; of all those that are to run, where none is
        named. One question."""
        filters = {"label": [f"{labels.INSTANCE}={self._instance}"]}
        if releases is None:
            filters["desired-state"] = ["running"]
        else:
            filters["service"] = sorted(releases)
        found = await self.query("tasks", params={"filters": json.dumps(filters)})
        views: dict[str, tuple[TaskView, ...]] = {}
        ended = await self._ended(found)
        for task in sorted(found, key=lambda task: task["CreatedAt"]):
            marks = task["Spec"]["ContainerSpec"].get("Labels") or {}
            network = labels.reached_by_marks(self._instance, marks)
            of, view = task["ServiceID"], task_view(task, network)
            if view.container in ended:
                view = replace(view, over=True)
            views[of] = (*views.get(of, ()), view)
        return views

    async def _ended(self, tasks: Sequence[Mapping[str, Any]]) -> set[str]:
        """Of those that hold something and are being ended, the containers of this node that have:
        Swarm says so up to a second later. None of them is ever started again. One that is not
        listed may be another node's."""
        if not any(map(_being_ended, tasks)):
            return set()
        params = {"filters": self._filter(labels.HOLDS), "all": "1"}
        listed = await self.query("containers/json", params=params)
        return {each["Id"] for each in listed if each["State"] == "exited"}

    async def any_releases(self, environment: str) -> bool:
        mark = f"{labels.ENVIRONMENT}={environment}"
        return bool(await self.query("services", params={"filters": self._filter(mark)}))

    async def any_containers(self, service: str) -> bool:
        """On this node, running or not."""
        marks = self._filter(f"{labels.SERVICE}={service}")
        return bool(await self.query("containers/json", params={"filters": marks, "all": "1"}))

    async def holding(self, service: str) -> Mapping[str, frozenset[str]]:
        """Swarm service → what its tasks hold that have not ended, on any node."""
        marks = self._filter(f"{labels.SERVICE}={service}", labels.HOLDS)
        # Swarm lists the tasks of a service that is gone until their node says that they ended.
        tasks = await self.query("tasks", params={"filters": marks})
        ended = await self._ended(tasks)
        living = [task for task in tasks if not (_is_over(task) or _container(task) in ended)]
        found = [task["Spec"]["ContainerSpec"].get("Labels") or {} for task in living]
        # What the manager no longer knows may still be here.
        containers = await self.query("containers/json", params={"filters": marks})
        found += [container["Labels"] for container in containers]
        return {each.get(labels.RELEASE, ""): _held(each) for each in found}

    async def stop(self, container: str) -> None:
        """What Swarm is ending is told to end now, where that is on this node and does no harm:
        Swarm tells it again, and gives it its whole grace from then on."""
        with contextlib.suppress(EngineMissing, EngineRefused):
            config = (await self.query(f"containers/{container}/json"))["Config"]
            marks, signal = config.get("Labels") or {}, config.get("StopSignal") or "SIGTERM"
            ours = marks.get(labels.INSTANCE) == self._instance and labels.HOLDS in marks
            if ours and signal.upper().removeprefix("SIG") in _ONCE:
                params = {"signal": signal}
                await self.query(f"containers/{container}/kill", "POST", params=params)

    async def create(self, body: Mapping[str, Any]) -> None:
        """One that is there under the same name is the same release: names are derived. Its image
        is the registry's, its way out the one in use."""
        data = placed(body, self._instance, self._registry_port, await self.ways_out.name())
        try:
            await self.query("services/create", "POST", data=data)
        except EngineRefused as error:
            if "name conflicts with an existing object" not in str(error):
                raise

    async def keep_file(self, body: Mapping[str, Any]) -> str:
        """As a Swarm secret, whose id it is. One that is there under the same name is the same."""
        try:
            return (await self.query("secrets/create", "POST", data=body))["ID"]
        except EngineRefused as error:
            if "conflict" not in str(error) and "already exists" not in str(error):
                raise
            return (await self.query(f"secrets/{body['Name']}"))["ID"]

    async def remove_files(self, service: str, kept: Collection[str]) -> None:
        """Of all its releases but these, whose names are their Swarm services'."""
        marks = self._filter(f"{labels.SERVICE}={service}")
        for secret in await self.query("secrets", params={"filters": marks}):
            if secret["Spec"]["Labels"].get(labels.RELEASE) not in kept:
                with contextlib.suppress(EngineMissing):
                    await self.query(f"secrets/{secret['ID']}", "DELETE")

    async def scale(self, there: SwarmServiceView, replicas: int) -> None:
        """Under the version that was looked at: a process that was paused changes nothing."""
        found = await self.query(f"services/{there.id}")
        spec = found["Spec"]
        if spec["Labels"].get(labels.INSTANCE) != self._instance:
            raise EngineRefused(f"{there.name} does not belong to {self._instance}")
        spec["Mode"]["Replicated"]["Replicas"] = replicas
        version = {"version": str(there.version)}
        await self.query(f"services/{there.id}/update", "POST", params=version, data=spec)

    async def wanted_tasks(self) -> list[dict[str, Any]]:
        """Of every service of the instance, the control plane's too: the tasks that are to run, as
        the engine has them."""
        found = await self.query("services", params={"filters": self._filter()})
        if not found:
            return []
        names = {"service": [service["ID"] for service in found], "desired-state": ["running"]}
        return await self.query("tasks", params={"filters": json.dumps(names)})

    async def restart(self, service: str) -> str:
        """New tasks for it, of the specification that it has; its name. `service`: id or name."""
        found = await self.query(f"services/{service}")
        spec = found["Spec"]
        if spec["Labels"].get(labels.INSTANCE) != self._instance:
            raise EngineRefused(f"{spec['Name']} does not belong to {self._instance}")
        spec["TaskTemplate"]["ForceUpdate"] = spec["TaskTemplate"].get("ForceUpdate", 0) + 1
        version = {"version": str(found["Version"]["Index"])}
        await self.query(f"services/{service}/update", "POST", params=version, data=spec)
        return spec["Name"]

    async def ends_by_itself(self, there: SwarmServiceView) -> bool:
        """Some of its tasks have, though they were to run."""
        filters = {"service": [there.id]}
        tasks = await self.query("tasks", params={"filters": json.dumps(filters)})
        return any(task["Status"]["State"] in _BY_ITSELF for task in tasks)

    async def remove(self, there: SwarmServiceView) -> None:
        try:
            await self.query(f"services/{there.id}", "DELETE")
        except EngineMissing:
            return

    async def image_config(self, reference: str) -> Mapping[str, Any] | None:
        name = fetched(self._registry_port, reference)
        try:
            return (await self.query(f"images/{name}/json")).get("Config") or {}
        except EngineMissing:
            return None

    async def end_containers(self, service: str) -> None:
        """All of it on this node, at once and by force: they are gone then."""
        params = {"filters": self._filter(f"{labels.SERVICE}={service}"), "all": "1"}
        for found in await self.query("containers/json", params=params):
            with contextlib.suppress(EngineMissing, EngineRefused):  # somebody else removes it
                await self.query(f"containers/{found['Id']}", "DELETE", params={"force": "1"})

    async def remove_images(self, service: str) -> None:
        """All that were built for it, under the registry's names: under another one somebody has it
        who is not the platform. One that a container still uses is left."""
        mark, place = f"{labels.SERVICE}={service}", fetched(self._registry_port, "")
        images = await self.query("images/json", params={"filters": self._filter(mark)})
        for name in [name for image in images for name in image.get("RepoDigests") or ()]:
            if name.startswith(place) and f"/{service}@" in name:
                with contextlib.suppress(EngineRefused, EngineMissing):
                    await self.query(f"images/{name}", "DELETE", params={"force": "1"})

    async def network_id(self, name: str) -> str | None:
        try:
            return (await self.query(f"networks/{name}"))["Id"]
        except EngineMissing:
            return None

    async def ensure_network(self, name: str, marks: Mapping[str, str]) -> None:
        if await self.network_id(name) is not None:
            return
        body = {
            "Name": name,
            "Driver": "overlay",
            "Attachable": True,
            "Internal": True,  # the way out is the egress network
            "Labels": {labels.INSTANCE: self._instance, **marks},
        }
        try:
            await self.query("networks/create", "POST", data=body)
        except EngineRefused as error:
            # Another service of the environment was quicker: said in one way or the other, as the
            # engine or the swarm noticed it.
            words = str(error)
            if "already exists" not in words and "name conflicts" not in words:
                raise

    async def service_networks(self) -> dict[str, Owner]:
        """Those of services' own, by their names."""
        params = {"filters": self._filter(labels.SERVICE)}
        return {
            found["Name"]: (found["Labels"][labels.ORGANIZATION], found["Labels"][labels.SERVICE])
            for found in await self.query("networks", params=params)
        }

    async def remove_network(self, name: str) -> None:
        try:
            await self.query(f"networks/{name}", "DELETE")
        except EngineMissing:
            return

    async def node(self) -> str:
        """Swarm's id of the node that is asked."""
        return (await self.query("info"))["Swarm"]["NodeID"]

    async def remove_volume(self, name: str, service: str) -> None:
        """Of this node; it is gone then. Raises EngineRefused where it is in use, or is none of
        that service."""
        try:
            marks = (await self.query(f"volumes/{name}")).get("Labels") or {}
            if (marks.get(labels.INSTANCE), marks.get(labels.SERVICE)) != (self._instance, service):
                raise EngineRefused(f"{name} is no volume of the service {service}")
            await self.query(f"volumes/{name}", "DELETE")
        except EngineMissing:
            return

    async def health(self, container: str) -> Health | None:
        """None when the health check said nothing bad last, or the container is gone."""
        try:
            return health_of(await self.query(f"containers/{container}/json"))
        except (EngineMissing, EngineRefused):
            return None

    async def events(self) -> AsyncIterator[Owner]:
        """(organization, service) whose containers did something, but for what their health checks
        do all the time. Raises EngineAway when it ends."""
        marks = [f"{labels.INSTANCE}={self._instance}", labels.SERVICE]
        async with self._engine.container_events(_EVENTS, marks) as actors:
            async for actor in actors:
                attributes = actor["Attributes"]
                yield attributes.get(labels.ORGANIZATION, ""), attributes[labels.SERVICE]

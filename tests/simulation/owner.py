"""Somebody who has a service and does with it what people do, over the operations of the API."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, ClassVar

from api_gateway.deployments import routes as deployments
from api_gateway.gateway import Gateway
from api_gateway.request_context import RequestContext
from api_gateway.services import routes as services
from api_gateway.services.kinds import ChangedService, NewService
from api_gateway.webhooks.routes import receive_push
from fastapi import Request
from pydantic import TypeAdapter
from slipway.contracts.values import BuiltImage
from slipway.contracts.workload import Workload
from slipway.kernel.ids import derived
from starlette.responses import Response

from tests.simulation.builder import Workshop
from tests.simulation.gateway import Front
from tests.simulation.platform import ENVIRONMENT
from tests.simulation.stacks import Stacks
from tests.simulation.world import Behaviour

type Call = Callable[[Gateway, RequestContext], Awaitable[Response]]
_NEW: TypeAdapter[Any] = TypeAdapter(NewService)


class Owner:
    """Of an application that is built of a repository, or of a stack. `deployments`: how many are
    asked for, before the service is deleted, maybe."""

    def __init__(
        self, name: str, front: Front, workshop: Workshop, chance: Random, deployments: int
    ) -> None:
        self.name, self._front, self._workshop = name, front, workshop
        self._chance, self._most = chance, deployments
        self.service = ""
        self.asked: list[str] = []
        """The deployments that were accepted."""
        self.touched = 0.0
        """When something else than a deployment was asked for last."""
        self.deleted = False
        self._requests = 0
        self._webhook = ""

    # - what is done

    async def create(self) -> None:
        body = _NEW.validate_python({"name": self.name, **self._settings()})
        made = await self._answer(lambda g, c: services.create_service(ENVIRONMENT, body, g, c))
        self.service, self._webhook = made["id"], made["webhook"]["url"]

    async def live(self) -> None:
        while len(self.asked) < self._most:
            await asyncio.sleep(self._chance.expovariate(self.hurry))
            (act,) = self._chance.choices(list(self.ACTS), list(self.ACTS.values()))
            await getattr(self, act)()
        if self._chance.random() < 0.3:
            await asyncio.sleep(self._chance.expovariate(0.05))
            self.deleted = True
            await self._answer(lambda g, c: services.delete_service(self.service, g, c))

    hurry = 0.12
    ACTS: ClassVar = {
        "deploy": 40, "push": 20, "cancel": 14, "stop": 4, "start": 5, "restart": 6, "rollback": 7,
        "scale": 8, "same_images": 3,
    }  # fmt: skip

    async def deploy(self) -> None:
        await self._deployment(lambda g, c: deployments.deploy(self.service, g, c, None))

    async def push(self) -> None:
        raise NotImplementedError

    async def scale(self) -> None:
        raise NotImplementedError

    async def cancel(self) -> None:
        if self.asked:
            last = self.asked[-1]
            await self._answer(lambda g, c: deployments.cancel_deployment(last, g, c))

    async def stop(self) -> None:
        await self._answer(lambda g, c: services.stop_service(self.service, g, c))

    async def start(self) -> None:
        await self._deployment(lambda g, c: deployments.start_service(self.service, g, c))

    async def restart(self) -> None:
        await self._deployment(lambda g, c: deployments.restart_service(self.service, g, c))

    async def rollback(self) -> None:
        if self.asked:
            to = self._chance.choice(self.asked[-5:])
            await self._deployment(lambda g, c: deployments.roll_back(to, g, c))

    async def same_images(self) -> None:
        body = deployments.NewDeployment(build=False)
        await self._deployment(lambda g, c: deployments.deploy(self.service, g, c, body))

    # - how

    async def _answer(self, call: Call) -> Any:
        self.touched = self._front.world.clock.monotonic()
        self._requests += 1
        answer = await self._front.ask(f"{self.name}/{self._requests}", call)
        self.touched = self._front.world.clock.monotonic()
        return None if answer is None else json.loads(bytes(answer.body))

    async def _deployment(self, call: Call) -> None:
        if (made := await self._answer(call)) is not None:
            self.asked.append(made["id"])

    async def _change(self, **changes: Any) -> None:
        body = ChangedService(**changes)
        await self._answer(lambda g, c: services.change_service(self.service, body, g, c))

    def _settings(self) -> dict[str, Any]:
        raise NotImplementedError


class OwnerOfApplication(Owner):
    def _settings(self) -> dict[str, Any]:
        source = {"kind": "git", "url": "https://203.0.113.7/app.git"}
        return {
            "kind": "application", "source": source, "port": 8080, "settle_seconds": 1,
            "drain_seconds": 1,
        }  # fmt: skip

    async def push(self) -> None:
        """The git server tells of it."""
        self._workshop.programs.head = head = f"{self._chance.getrandbits(160):040x}"
        token, told = self._webhook.rpartition("/")[2], derived("delivery", head)
        headers = [(b"x-github-event", b"push"), (b"x-github-delivery", told.encode())]
        body = json.dumps({"ref": "refs/heads/main", "after": head}).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def delivery(gateway: Gateway, _: RequestContext) -> Response:
            request = Request({"type": "http", "headers": headers, "client": None}, receive)
            return await receive_push(token, request, gateway)

        answer = await self._answer(delivery)
        if answer is not None and answer["deployment"] not in (None, *self.asked):
            self.asked.append(answer["deployment"])

    async def scale(self) -> None:
        await self._change(replicas=self._chance.randint(0, 3))


class OwnerOfStack(Owner):
    def __init__(self, *args: Any, published: int) -> None:
        super().__init__(*args)
        self.stacks = Stacks(self._chance, self._image, published)
        self._stacks = 0

    def _image(self, name: str, behaviour: Behaviour) -> BuiltImage:
        return self._workshop.images.published(f"{name}:1", behaviour)

    def _settings(self) -> dict[str, Any]:
        return {"kind": "raw", "workloads": self._stack()}

    def _stack(self) -> list[dict[str, Any]]:
        self._stacks += 1
        return [_said(each) for each in self.stacks.next(f"{self.name}-{self._stacks}")]

    async def push(self) -> None:
        await self._change(workloads=self._stack())
        await self.deploy()

    async def scale(self) -> None:
        workload = self._chance.choice([each.name for each in self.stacks.last])
        most = 3 if workload in ("web", "worker") else 1
        await self._change(workload=workload, replicas=self._chance.randint(0, most))


def _said(workload: Workload) -> dict[str, Any]:
    """As a client says it."""
    return {**workload.model_dump(mode="json"), "image": workload.image.source, "settle_seconds": 1}

"""What clients say of projects and environments, and are shown of them."""

from typing import Literal

from slipway.contracts.values import NamedKind

from api_gateway.http.schema import Body, Name, Shown

type Phase = Literal["active", "deleting"]


class NewProject(Body):
    name: Name


class ChangedProject(Body):
    name: Name


class NewEnvironment(Body):
    name: Name


class ChangedEnvironment(Body):
    name: Name


class ServiceSummary(Shown):
    """Of a service in its environment; all of it is at its own address."""

    id: str
    kind: NamedKind
    name: str
    status: Literal["running", "stopped", "not deployed", "deleting"]
    replicas: int
    """Of all its workloads together."""


class Environment(Shown):
    id: str
    name: str
    project: str
    status: Phase
    created_at: str
    services: list[ServiceSummary]


class Project(Shown):
    id: str
    name: str
    status: Phase
    created_at: str
    updated_at: str
    environments: list[Environment]

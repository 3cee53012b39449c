"""What may happen to services."""

from typing import Any

import pytest
from api_gateway.projects.domain import BeingDeleted
from api_gateway.services import domain
from api_gateway.services.domain import SERVICE, ApplicationChange, Configure
from slipway.contracts import service as facts
from slipway.contracts.event import Event
from slipway.contracts.values import (
    ApplicationSettings,
    DockerfileBuild,
    GitSource,
    HealthCheck,
    ImageSource,
    Runtime,
    Sealed,
    StaticBuild,
    Variable,
)
from slipway.kernel.errors import Invalid, NotFound

from tests.unit.api_gateway.given import Given

GIT = GitSource(url="https://git.example.org/a.git")
OTHER = GitSource(url="https://b.example/b.git")
IMAGE = ImageSource(image="nginx:stable")
TOKEN, SECRET = Sealed(key="gateway", text="QQ=="), Sealed(key="gateway", text="Qg==")
BUILD = DockerfileBuild(file="Containerfile")


def application(source: Any = GIT, build: Any = BUILD, **runtime: Any) -> ApplicationSettings:
    return ApplicationSettings(source=source, build=build, runtime=Runtime(**runtime))


def change(**parts: Any) -> Configure:
    return Configure(settings=ApplicationChange(**parts))


def configured(*said: Any, **runtime: Any) -> facts.ServiceConfigured:
    return facts.ServiceConfigured(settings=application(*said, **runtime))


def created(source: Any = GIT, build: Any = BUILD) -> facts.ServiceCreated:
    return facts.ServiceCreated(
        project="p1", environment="e1", name="web", settings=application(source, build),
        webhook_token=TOKEN, webhook_hash="hash",
    )  # fmt: skip


WEB = created()
LEAVING = facts.ServiceDeletionRequested(project="p1", environment="e1")
GONE = facts.ServiceDeleted(project="p1", environment="e1")
CREATE = domain.Create("p1", "e1", "web", application(), TOKEN, "hash")


def test_it_is_made_once():
    made = Given(SERVICE).when(CREATE).then(WEB)
    assert (made.phase, made.name, made.replicas, made.stopped) == ("active", "web", {}, False)
    Given(SERVICE, WEB).when(CREATE).nothing()
    Given(SERVICE, WEB, LEAVING, GONE).when(CREATE).nothing()


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        (Configure(name="shop"), facts.ServiceRenamed(name="shop")),
        (change(source=OTHER), configured(OTHER)),
        (change(build=StaticBuild()), configured(GIT, StaticBuild())),
        (change(build=None), configured(GIT, None)),
        (change(runtime={"port": 80}), configured(port=80)),
        (Configure(replicas=3), facts.ServiceScaled(replicas=3)),
        (Configure(replicas=0), facts.ServiceScaled(replicas=0)),
        (Configure(webhook_secret=SECRET), facts.WebhookSecretSet(secret=SECRET)),
    ],
)  # fmt: skip
def test_only_what_is_given_changes(command: Configure, fact: Event):
    after = Given(SERVICE, WEB).when(command).then(fact)
    Given(SERVICE, WEB, fact).when(command).nothing()
    before = Given(SERVICE, WEB).state.model_dump()
    assert sum(before[name] != value for name, value in after.model_dump().items()) == 1


def test_parts_of_the_runtime_are_changed_and_taken_away():
    first = configured(port=80, health_check=HealthCheck(path="/up"))
    command = change(runtime={"health_check": None, "cpu_limit": 0.5})
    Given(SERVICE, WEB, first).when(command).then(configured(port=80, cpu_limit=0.5))


def test_a_secret_is_taken_away():
    given = Given(SERVICE, WEB, facts.WebhookSecretSet(secret=SECRET))
    after = given.when(Configure(webhook_secret=None)).then(facts.WebhookSecretSet(secret=None))
    assert after.webhook_secret is None


def test_an_image_is_not_built():
    given = Given(SERVICE, WEB)
    given.when(change(source=IMAGE)).then(configured(IMAGE, None))
    given.when(change(source=IMAGE, build=BUILD)).refused(Invalid, "/build")
    Given(SERVICE, created(IMAGE, None)).when(change(build=BUILD)).refused(Invalid, "/build")


def test_what_listens_on_nothing_is_not_asked():
    given = Given(SERVICE, WEB)
    given.when(change(runtime={"port": "none"})).then(configured(port="none"))
    command = HealthCheck(command=("true",))
    worker = {"port": "none", "health_check": command}
    given.when(change(runtime=worker)).then(configured(port="none", health_check=command))
    asked = {"port": "none", "health_check": HealthCheck(path="/up")}
    given.when(change(runtime=asked)).refused(Invalid, "/health_check/path")


def test_it_is_stopped_and_started():
    stopped = Given(SERVICE, WEB).when(domain.Stop()).then(facts.ServiceStopped())
    assert stopped.stopped
    Given(SERVICE, WEB, facts.ServiceStopped()).when(domain.Stop()).nothing()
    Given(SERVICE, WEB).when(domain.Start()).nothing()
    given = Given(SERVICE, WEB, facts.ServiceStopped())
    assert not given.when(domain.Start()).then(facts.ServiceStarted()).stopped


def test_it_has_variables():
    items = (Variable(name="A", sealed=SECRET),)
    set_ = facts.ServiceVariablesSet(items=items)
    assert Given(SERVICE, WEB).when(domain.SetVariables(items)).then(set_).variables == items
    Given(SERVICE, WEB, set_).when(domain.SetVariables(items)).nothing()


def test_it_is_deleted_in_two_steps():
    given = Given(SERVICE, WEB)
    assert given.when(domain.RequestDeletion()).then(LEAVING).phase == "deleting"
    given.when(domain.FinishDeletion()).nothing()
    leaving = Given(SERVICE, WEB, LEAVING)
    leaving.when(domain.RequestDeletion()).nothing()
    assert leaving.when(domain.FinishDeletion()).then(GONE).phase == "deleted"
    Given(SERVICE, WEB, LEAVING, GONE).when(domain.FinishDeletion()).nothing()
    Given(SERVICE).when(domain.FinishDeletion()).nothing()


@pytest.mark.parametrize(
    "command",
    [Configure(replicas=2), domain.Stop(), domain.Start(), domain.SetVariables(())],
)
def test_what_is_not_there_is_not_changed(command: Any):
    Given(SERVICE).when(command).refused(NotFound)
    Given(SERVICE, WEB, LEAVING).when(command).refused(BeingDeleted)
    Given(SERVICE, WEB, LEAVING, GONE).when(command).refused(NotFound)


def test_what_is_not_there_is_not_deleted():
    Given(SERVICE).when(domain.RequestDeletion()).refused(NotFound)
    Given(SERVICE, WEB, LEAVING, GONE).when(domain.RequestDeletion()).refused(NotFound)

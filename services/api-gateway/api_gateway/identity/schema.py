"""What clients say to get in, and are shown of tokens."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints
from slipway.contracts.organization import Role
from slipway.contracts.values import PRINTABLE

from api_gateway.http.patterns import EMAIL
from api_gateway.http.schema import Body, Name, Seen, Shown, Text

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=3,
        max_length=254,
        pattern=EMAIL,
    ),
    Seen,
]


class Setup(Body):
    token: Annotated[Text, Field(max_length=200)]
    email: Email
    password: Annotated[Text, Field(min_length=8, max_length=200)]
    organization: Name = "Default"


class SignIn(Body):
    email: Annotated[
        str, StringConstraints(strip_whitespace=True, max_length=254, pattern=PRINTABLE)
    ]
    password: Annotated[Text, Field(max_length=200)]


class NewToken(Body):
    name: Name
    role: Role = "developer"
    expires_at: Annotated[str | None, StringConstraints(max_length=40, pattern=PRINTABLE)] = None
    """ISO 8601; UTC where no offset is given."""


class Owner(Shown):
    id: str
    email: str


class FirstOrganization(Shown):
    id: str
    name: str


class Done(Shown):
    user: Owner
    organization: FirstOrganization


class Session(Shown):
    id: str
    user: str
    expires_at: str


class Token(Shown):
    id: str
    name: str
    role: Role
    expires_at: str | None
    created_at: str
    created_by: str


class MadeToken(Token):
    token: str = ""
    """In the first answer only."""


def token(document: dict[str, Any]) -> dict[str, Any]:
    state = document["state"]
    return {
        "id": document["_id"],
        "name": state["name"],
        "role": state["role"],
        "expires_at": state["expires_at"],
        "created_at": document["created_at"],
        "created_by": state["created_by"],
    }

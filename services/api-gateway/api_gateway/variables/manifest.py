from api_gateway.feature import Feature
from api_gateway.roles import Need
from api_gateway.variables.routes import router
from api_gateway.variables.scopes import LEVELS

_READ: dict[str, Need] = {f"get_{level}_variables": "read" for level in LEVELS}
_WRITE: dict[str, Need] = {f"set_{level}_variables": "write" for level in LEVELS}

FEATURE = Feature(needs=_READ | _WRITE, routers=(router,))

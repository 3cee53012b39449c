from api_gateway.events.routes import router
from api_gateway.feature import Feature

FEATURE = Feature(needs={"stream_events": "read"}, routers=(router,))

from api_gateway.feature import Feature
from api_gateway.webhooks.routes import router

FEATURE = Feature(needs={"receive_push": "nothing"}, routers=(router,))

from slipway.runtime.process import serve

from api_gateway.app import main

if __name__ == "__main__":
    serve("api-gateway", main)

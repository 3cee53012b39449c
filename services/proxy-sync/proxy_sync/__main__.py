from slipway.runtime.process import serve

from proxy_sync.app import main

if __name__ == "__main__":
    serve("proxy-sync", main)

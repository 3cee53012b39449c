from slipway.runtime.process import serve

from metrics.app import main

if __name__ == "__main__":
    serve("metrics", main)

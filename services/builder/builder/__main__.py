from slipway.runtime.process import serve

from builder.app import main

if __name__ == "__main__":
    serve("builder", main)

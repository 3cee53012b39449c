from slipway.runtime.process import serve

from deployer.app import main

if __name__ == "__main__":
    serve("deployer", main)

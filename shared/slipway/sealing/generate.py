"""`python -m slipway.sealing.generate`: the keys of a new installation, as JSON on stdout:
`master_public`, `master_private`, `gateway_public`, `gateway_private`."""

import json
import sys

from slipway.sealing.box import generate

if __name__ == "__main__":
    master, gateway = generate(), generate()
    json.dump(
        {
            "master_public": master.public,
            "master_private": master.private,
            "gateway_public": gateway.public,
            "gateway_private": gateway.private,
        },
        sys.stdout,
    )

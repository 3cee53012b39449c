"""`python -m tests.bench.bare <port> <file>`: one route that answers with the file's bytes, on
the stack of the gateway."""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response


def service(content: bytes) -> FastAPI:
    bare = FastAPI()

    @bare.get("/")
    async def answer() -> Response:
        return Response(content, media_type="application/json")

    assert answer
    return bare


if __name__ == "__main__":
    uvicorn.run(
        service(Path(sys.argv[2]).read_bytes()),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=False,
        log_config=None,
    )

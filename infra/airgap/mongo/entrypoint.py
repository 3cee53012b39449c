#!/usr/bin/python3
"""The part of the official image's entrypoint that is used: the first start makes the root user
named by MONGO_INITDB_ROOT_USERNAME(_FILE) and MONGO_INITDB_ROOT_PASSWORD(_FILE)."""

import os
import subprocess
import sys
from pathlib import Path

import pymongo

DATA = Path("/data/db")
DONE = DATA / ".root-user-made"


def given(name):
    file = os.environ.get(name + "_FILE")
    return Path(file).read_text().strip() if file else os.environ.get(name, "")


def main(argv):
    if argv[:1] and argv[0].startswith("-"):
        argv = ["mongod", *argv]
    user, password = given("MONGO_INITDB_ROOT_USERNAME"), given("MONGO_INITDB_ROOT_PASSWORD")
    if argv[:1] != ["mongod"] or not user:
        os.execvp(argv[0], argv)
    if not DONE.exists():
        alone = ["mongod", "--bind_ip", "127.0.0.1", "--port", "27099", "--quiet"]
        server = subprocess.Popen(alone, stdout=subprocess.DEVNULL)
        client = pymongo.MongoClient("mongodb://127.0.0.1:27099", serverSelectionTimeoutMS=60000)
        admin = client.admin
        if not admin.command("usersInfo", user)["users"]:
            admin.command("createUser", user, pwd=password, roles=["root"])
        server.terminate()
        server.wait()
        DONE.touch()
    if "--bind_ip" not in argv and "--bind_ip_all" not in argv:
        argv.append("--bind_ip_all")
    os.execvp("mongod", [*argv, "--auth"])


main(sys.argv[1:])

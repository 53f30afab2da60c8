#!/usr/bin/env python3
"""Follows a topic of dojot's Kafka WS in Python (package `websockets`), as its documentation says: log in, fetch a ticket, open
the topic with it. Prints each message as a line, and in the end how the connection was closed.

    python3 follow.py http://localhost:8080 USER PASSWORD admin.device-data 'where=attrs.temperature=gt:30;' 'fields=attrs'
"""

import asyncio
import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from websockets import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

base, username, passwd, topic, *filters = sys.argv[1:]


def fetch(path, headers={}, body=None):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(base + path, data=data, headers=headers)) as answer:
            return json.load(answer)
    except HTTPError as error:
        sys.exit(f"{path} {error.code} {json.load(error)['message']}")


jwt = fetch("/auth", body={"username": username, "passwd": passwd})["jwt"]
ticket = fetch("/kafka-ws/v1/ticket", headers={"Authorization": f"Bearer {jwt}"})["ticket"]

query = "&".join([*filters, f"ticket={ticket}"])


async def follow():
    async with connect(f"{base.replace('http', 'ws', 1)}/kafka-ws/v1/topics/{topic}?{query}") as socket:
        print("open", flush=True)
        try:
            while True:
                print(await socket.recv(), flush=True)
        except ConnectionClosed as closed:
            # Nobody closes a connection that breaks off.
            close = closed.rcvd or Close(1006, "")
            print("closed", close.code, close.reason, flush=True)


asyncio.run(follow())

#!/usr/bin/env python3
"""Follows streams of Octave in Python (package `websockets`), as its documentation says: a session, a socket, a subscription for
each path. Prints the elements of each event as a line, and in the end how the connection was closed.

    python3 follow.py http://localhost:8080 COMPANY USER TOKEN /COMPANY/devices/DEVICE/STREAM ..
"""

import asyncio
import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from websockets import connect
from websockets.exceptions import ConnectionClosed

base, company, user, token, *paths = sys.argv[1:]

headers = {"X-Auth-Company": company, "X-Auth-Token": token}
if user:
    headers["X-Auth-User"] = user
try:
    with urlopen(Request(f"{base}/session", method="POST", headers=headers)) as answer:
        session = json.load(answer)["body"]["id"]
except HTTPError as error:
    sys.exit(f"{error.code} {json.load(error)['head']['errors'][0]}")


async def follow():
    async with connect(f"{base.replace('http', 'ws', 1)}/session/{session}/ws") as socket:
        for number, path in enumerate(paths):
            await socket.send(json.dumps({"msgId": number, "object": "event", "type": "subscribe", "path": path}))
        waiting = set(range(len(paths)))
        try:
            while True:
                frame = json.loads(await socket.recv())
                if frame.get("type") == "message":
                    event = frame["value"]
                    print(event["path"], json.dumps(event["elems"], separators=(",", ":")), flush=True)
                elif not frame["head"]["ok"]:
                    sys.exit(f"{paths[frame['head']['msgId']]} {frame['head']['status']} {frame['head']['errors'][0]}")
                else:
                    waiting.discard(frame["head"]["msgId"])
                    if not waiting:
                        print("subscribed", flush=True)
        except ConnectionClosed as closed:
            print("closed", closed.rcvd.code, closed.rcvd.reason, flush=True)


asyncio.run(follow())

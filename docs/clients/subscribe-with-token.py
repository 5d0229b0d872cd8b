"""Follows channels with a token: python3 subscribe-with-token.py WS_URL TOKEN_URL CHANNEL...

Needs websockets (Debian: python3-websockets). TOKEN_URL answers with a token of your login.
"""

import asyncio
import json
import random
import sys
import urllib.request

import websockets

url, token_url, *channels = sys.argv[1:]
positions, tries, renewals = {}, {"wait": 1, "refused": 0}, set()


def get_token():
    with urllib.request.urlopen(token_url, timeout=10) as answer:
        return answer.read().decode()


async def renew(socket):  # If it fails, the old token goes on until its end.
    token = await asyncio.to_thread(get_token)
    await socket.send(json.dumps({"type": "auth", "token": token}))


async def handle(socket, token, frame):
    kind, name, offset = frame.get("type"), frame.get("channel"), frame.get("offset")
    if kind == "welcome":
        await socket.send(json.dumps({"type": "auth", "id": "first", "token": token}))
    elif kind == "authenticated" and frame.get("id") == "first":
        tries.update(wait=1, refused=0)
        wanted = [{"channel": name, **positions.get(name, {})} for name in channels]
        await socket.send(json.dumps({"type": "subscribe", "channels": wanted}))
    elif kind == "expiring":
        renewals.add(asyncio.create_task(renew(socket)))
    elif kind == "subscribed":
        for answer in (each for each in frame["channels"] if not each.get("recovered")):
            positions[answer["channel"]] = {"since": answer} if "epoch" in answer else {}
    elif kind == "resync":
        positions[name] = {"since": frame}
    elif kind in ("gap", None):
        since = positions.get(name, {}).get("since", {"offset": 0})
        if kind is None and (offset is None or offset > since["offset"]):
            print(offset, json.dumps(frame["data"]), flush=True)
        since["offset"] = max(since["offset"], offset or frame.get("to", 0))


async def main():
    while tries["refused"] < 2:
        try:
            token = await asyncio.to_thread(get_token)
            async with websockets.connect(url, subprotocols=["tradewind.v1.json"], max_size=2**21) as socket:
                async for text in socket:
                    await handle(socket, token, json.loads(text))
        except (OSError, websockets.WebSocketException) as end:  # No token, no node, or a close code.
            tries["refused"] += getattr(getattr(end, "rcvd", None), "code", None) == 4401
        await asyncio.sleep(random.random() * tries["wait"])
        tries["wait"] = min(30, 2 * tries["wait"])


asyncio.run(main())

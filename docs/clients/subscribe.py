"""Receives channels from an edge: python3 subscribe.py ws://127.0.0.1:8080/ws CHANNEL...

A client to copy: the rules of docs/protocol.md for up to 128 channels. docs/clients.md says more. Needs the package
websockets, 10.1 or later. Its own pings notice a connection that is dead.
"""

import asyncio
import json
import random
import sys

import websockets

RESUME = {1001, 1005, 1006, 1012, 4002, 4008}  # after these the first wait is short again
FINAL = {1000, 1002, 1007, 1008, 1009}
PASSING = {"rate_limited", "unavailable", "node_channels_full"}
MAX_MESSAGE_BYTES = 1_048_576  # more than `limits.maxPublicationBytes` + 1,024


class Link:
    """One connection. It becomes the current one when it says `welcome`."""

    socket = None
    welcome = None


class Subscriber:
    """Receives channels until `stop()` is called. `on` is given every publication (a frame without `type`), every `gap`,
    and three more: `begins` (what follows does not continue what came before; `offset` is None if the next publication
    tells it), `refused` (a channel will never come) and `stopped` (nothing will)."""

    def __init__(self, url, channels, on):
        self.url, self.on = url, on
        self.states = {name: new_state() for name in channels}
        self.current = self.opening = None
        self.bound = 1.0  # seconds
        self.timers, self.tasks = {}, set()
        self.open()

    def after(self, seconds, act):
        if act.__name__ in self.timers:
            self.timers[act.__name__].cancel()
        self.timers[act.__name__] = asyncio.get_running_loop().call_later(seconds, act)

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)  # asyncio itself keeps no reference
        task.add_done_callback(self.tasks.discard)

    def open(self):
        if self.opening is None:
            self.opening = Link()
            self.spawn(self.run(self.opening))

    async def run(self, link):
        code, least, refusal = 1006, 0, None
        options = {"max_size": MAX_MESSAGE_BYTES, "subprotocols": ["tradewind.v1.json"], "open_timeout": 10}
        try:
            async with websockets.connect(self.url, close_timeout=1, **options) as link.socket:
                frame = json.loads(await asyncio.wait_for(link.socket.recv(), 10))
                while link in (self.opening, self.current):
                    self.take(link, frame)
                    frame = json.loads(await link.socket.recv())
        except websockets.ConnectionClosed as ended:
            code = ended.rcvd.code if ended.rcvd else 1006
        except websockets.InvalidHandshake as refused:
            answer = getattr(refused, "response", refused)  # before websockets 13 the exception has both itself
            refusal = getattr(answer, "status_code", None)
            least = int(getattr(answer, "headers", {}).get("Retry-After", 0))
        except (OSError, asyncio.TimeoutError, EOFError):
            pass
        if refusal is not None and refusal != 429 and refusal < 500:
            self.stop(refusal)
        elif link in (self.opening, self.current):
            self.end(link, code, least)

    def end(self, link, code, least=0):
        if link is self.opening:
            self.opening = None
        else:
            self.current = None
        if code in FINAL or 4400 <= code < 5000:
            self.stop(code)
            return
        if link.welcome and code in RESUME:
            spread = link.welcome["reconnect"]["spreadMs"] / 1_000 if code == 1006 else 0
            self.bound = max(1.0, spread)
        self.after(max(least, random.random() * self.bound), self.open)
        self.bound = min(30.0, 2 * self.bound)

    def stop(self, code=1000):
        for timer in self.timers.values():
            timer.cancel()
        links, self.current, self.opening = (self.current, self.opening), None, None
        for link in links:
            if link and link.socket:
                self.spawn(link.socket.close(1000))
        self.on({"type": "stopped", "code": code})

    def ask(self):
        asked = []
        for name, state in self.states.items():
            if state["asked"]:
                continue
            epoch, offset = state["epoch"], state["offset"]
            state["asked"], state["since"] = True, offset is not None
            since = {"since": {"epoch": epoch, "offset": offset}} if state["since"] else {}
            asked.append({"channel": name, **since})
        if self.current and asked:
            self.spawn(self.send({"type": "subscribe", "id": 1, "channels": asked}))

    async def send(self, message):
        try:
            await self.current.socket.send(json.dumps(message))
        except websockets.ConnectionClosed:
            pass  # the loop that receives has heard of it too

    def take(self, link, frame):
        kind = frame.get("type")
        if kind == "welcome":
            self.welcome(link, frame)
        elif kind is None or kind == "gap":
            self.advance(frame)
        elif kind == "resync":
            position = {"epoch": frame["epoch"], "offset": frame["offset"]}
            self.states[frame["channel"]].update(position)
            if frame["reason"] != "started":
                self.on({"type": "begins", "channel": frame["channel"], **position})
        elif kind == "subscribed":
            for answer in frame["channels"]:
                self.hold(answer)
            for each in frame.get("rejected", []):
                self.refuse(each["channel"], each["code"], each.get("retryAfterMs"))
        elif kind == "unsubscribed":
            for name in frame["channels"]:
                self.refuse(name, frame["reason"])
        elif kind == "restored":
            self.after(random.random(), self.ask)
        elif kind == "reconnect":
            self.after(frame["afterMs"] / 1_000, self.open)
        elif kind == "error" and frame.get("id") == 1:
            if not frame["retryable"]:
                self.stop(frame["code"])
            else:
                self.spawn(link.socket.close(1000))
                self.end(link, 1006)

    def welcome(self, link, frame):
        if self.current:  # its end must not open another one, and nothing of it counts any more
            self.spawn(self.current.socket.close(1000))
        if "open" in self.timers:
            self.timers["open"].cancel()
        link.welcome, self.current, self.opening = frame, link, None
        for state in self.states.values():
            state["asked"] = False
        self.ask()

    def advance(self, frame):
        state = self.states[frame["channel"]]
        offset = frame.get("to", frame.get("offset"))  # of a gap, or of a publication; either may have none
        if offset is not None and state["offset"] is not None and offset <= state["offset"]:
            return
        if offset is not None:
            state["offset"] = offset
        self.on(frame)

    def hold(self, answer):
        state, epoch = self.states[answer["channel"]], answer.get("epoch")
        if answer.get("recovered") and state["since"]:
            return  # the replay moves it on
        if epoch != state["epoch"] or answer.get("reason") == "offset_ahead":
            state.update(epoch=epoch, offset=None)
        is_at_end = epoch is not None and answer.get("replayed", 0) == 0
        if is_at_end:
            state["offset"] = max(answer["offset"], state["offset"] or 0)
        offset = state["offset"] if is_at_end else None
        self.on({"type": "begins", "channel": answer["channel"], "epoch": epoch, "offset": offset})

    def refuse(self, name, code, wait_ms=None):
        if code in PASSING:
            self.states[name]["asked"] = False
        elif self.states.pop(name, None):
            self.on({"type": "refused", "channel": name, "code": code})
        seconds = random.uniform(1, 10) if wait_ms is None else wait_ms / 1_000
        self.after(seconds, self.ask)


def new_state():
    return {"epoch": None, "offset": None, "since": False, "asked": False}


async def main(url, *channels):
    stopped = asyncio.Event()

    def on(frame):
        print(json.dumps(frame, ensure_ascii=False), flush=True)
        if frame.get("type") == "stopped":
            stopped.set()

    subscriber = Subscriber(url, channels, on)
    await stopped.wait()
    await asyncio.gather(*subscriber.tasks, return_exceptions=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: subscribe.py URL CHANNEL...")
    asyncio.run(main(*sys.argv[1:]))

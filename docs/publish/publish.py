"""Publishes to Tradewind's channels through Redis, each publication once. Copy this file and tradewind_publish_1.lua.

    client = redis.Redis.from_url("redis://127.0.0.1:6379", socket_timeout=2)
    publisher = Publisher(client)
    publisher.publish("BTC.trade", {"price": "64123.5"}, key="trade-1")

On a Cluster: redis.cluster.RedisCluster.from_url("redis://127.0.0.1:7000", socket_timeout=2).

Needs redis-py 4.3 or later (Debian: python3-redis) and Python 3.9. docs/publishing.md has the contract, conformance.json what it is
tested with. It starts no thread and keeps no queue.
"""

import collections
import hashlib
import json
import pathlib
import random
import re
import time
import uuid
from dataclasses import dataclass

import redis
import redis.cluster

SCRIPT_NAME = "tradewind_publish_1"
SCRIPT_TEXT = pathlib.Path(__file__).with_name(SCRIPT_NAME + ".lua").read_bytes()
SCRIPT_SHA = hashlib.sha1(SCRIPT_TEXT).hexdigest()

CHANNEL = re.compile(r"(?!tw:)[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}")
MAX_KEY_BYTES = 128
# Publications in one pipeline.
PIPELINE = 512
# Waits between tries are drawn from 0 to the first number of seconds, doubled with each try, up to the second.
FIRST_WAIT, MAX_WAIT = 0.025, 1.0
# With this notAfterMs Redis publishes nothing, but answers to a key that it knows.
LONG_AGO = "1"
# A try takes six round trips at most; with fewer seconds left, none is begun.
LAST_TRY = 0.02
# Redis' clock is asked this often, and again after this many seconds.
CLOCK_MEASUREMENTS, CLOCK_COUNTS_FOR = 5, 60.0

# Ends by itself: the same call again may succeed.
PASSING = frozenset(
    "LOADING BUSY UNKILLABLE OOM MISCONF CLUSTERDOWN TRYAGAIN NOSCRIPT READONLY MASTERDOWN NOREPLICAS NOFUNCTION TWLATE"
    " CONNECTION TIMEOUT".split()
)
# The server may no longer be the master, or is silent: only a new connection helps.
STALE = frozenset("READONLY MASTERDOWN NOREPLICAS TIMEOUT".split())
# redis-py leaves the first word out where it has a class for the error, which depends on its version.
WORD_OF_CLASS = {
    "NoScriptError": "NOSCRIPT",
    "BusyLoadingError": "LOADING",
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "MasterDownError": "MASTERDOWN",
    "NoPermissionError": "NOPERM",
    "ClusterDownError": "CLUSTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "AuthenticationError": "NOAUTH",
    "AuthenticationWrongNumberOfArgsError": "NOAUTH",
    "AuthorizationError": "NOPERM",
}


# redis-py's error of a Cluster whose nodes it cannot reach is none of its others.
REDIS_ERRORS = (redis.RedisError, redis.exceptions.RedisClusterException)


@dataclass(frozen=True)
class Published:
    """Where a publication stands. `duplicate`: Redis knew the key, by an earlier call or by a try whose answer was lost."""

    epoch: str
    offset: int
    duplicate: bool


class PublishError(Exception):
    """Was not published, or nobody knows.

    code: the first word of Redis' answer, or BAD_CHANNEL, BAD_KEY, BAD_PAYLOAD, TOO_LARGE (refused here), CONNECTION, TIMEOUT,
        NOFUNCTION, OVERTAKEN (a later one of the channel was published, this one was not), BAD_REPLY
    retryable: the same call with the same key may succeed later
    published: "no", or "unknown": repeat it with the same key, which publishes it at most once
    """

    def __init__(self, code, message, channel, key, published="no"):
        super().__init__(f"{channel}: {code}: {message}")
        self.code, self.channel, self.key, self.published = code, channel, key, published
        self.retryable = code in PASSING or code == "OVERTAKEN"


class Publisher:
    """Publishes over a client of the caller's, which must have a `socket_timeout`, shorter than the deadline.

    history: publications that a channel keeps, 0 to 100,000
    history_ttl_ms: how long they outlive the last one; 0: for ever
    key_window_ms: how long Redis remembers a key; must be longer than any repetition
    deadline_ms: how long a call goes on trying; Redis publishes nothing of it later than that
    max_publication_bytes: the edges' EDGE_MAX_PUBLICATION_BYTES
    use_function: calls the Function library from the start, for a user who may send no script
    sharded: publishes by SPUBLISH, for edges of a Cluster; by default where the client is a RedisCluster. False for a Cluster whose
        edges have REDIS_PUBSUB=classic
    """

    def __init__(
        self,
        client,
        history=1_000,
        history_ttl_ms=3_600_000,
        key_window_ms=600_000,
        deadline_ms=5_000,
        max_publication_bytes=65_536,
        use_function=False,
        sharded=None,
    ):
        if not client.get_connection_kwargs().get("socket_timeout"):
            raise ValueError("give the client a socket_timeout: without one a lost connection blocks for ever")
        if key_window_ms <= deadline_ms:
            raise ValueError("key_window_ms must be longer than deadline_ms")
        self._client = client
        self._settings = [str(history), str(history_ttl_ms)]
        self._key_window_ms = key_window_ms
        self._deadline_ms = deadline_ms
        self._max_bytes = max_publication_bytes
        self._uses_function = use_function
        self._is_loaded = False
        self._clocks = {}  # by server: measured at, Redis' clock minus ours; both in seconds
        self._is_cluster = hasattr(client, "get_node_from_key")
        self._sharded = ["sharded"] if (self._is_cluster if sharded is None else sharded) else []

    def publish(self, channel, data, key=None, deadline_ms=None):
        """Publishes str and bytes as they are, anything else as JSON. Returns Published or raises PublishError."""
        [result] = self.publish_many([(channel, data, key)], deadline_ms)
        if isinstance(result, PublishError):
            raise result
        return result

    def publish_many(self, publications, deadline_ms=None):
        """Publishes (channel, data) or (channel, data, key) in pipelines, in their order on each channel.

        Returns one Published or PublishError each, in the order given. The deadline is one for all.
        """
        patience = min(deadline_ms or self._deadline_ms, self._key_window_ms) / 1_000
        deadline = time.monotonic() + patience
        calls = [_Call(self._max_bytes, *publication) for publication in publications]
        sendable = [call for call in calls if call.result is None]
        for start in range(0, len(sendable), PIPELINE):
            self._settle(sendable[start : start + PIPELINE], deadline)
        return [call.result for call in calls]

    def _settle(self, calls, deadline):
        wait = FIRST_WAIT
        while time.monotonic() < deadline:
            is_refused_form = self._take(calls, self._round(calls, deadline))
            calls = [call for call in calls if call.result is None]
            if not calls:
                return
            if not is_refused_form:
                left = deadline - time.monotonic()
                # The last wait leaves time for a last try.
                time.sleep(max(0, left if left <= LAST_TRY else min(random.uniform(0, wait), left - LAST_TRY)))
                wait = min(2 * wait, MAX_WAIT)
        for call in calls:
            call.fail(*(call.last_failure or ("TIMEOUT", "the deadline has passed")))

    def _round(self, calls, deadline):
        """One pipeline; a Published or a (code, message, is_unknown) each, and None for those that wait for others."""
        asking = {call.channel for call in calls if call.only_asks}
        ready = [call for call in calls if call.only_asks or call.channel not in asking]
        answers, not_after_ms = {}, {}
        for call in ready:
            try:
                if call.channel not in not_after_ms:
                    not_after_ms[call.channel] = self._redis_time_ms(deadline, call.channel)
            except REDIS_ERRORS as error:
                code, message, _ = _failure(error)
                not_after_ms[call.channel] = (code, message, False)
            if isinstance(not_after_ms[call.channel], tuple):
                answers[call] = not_after_ms[call.channel]
        sent = [call for call in ready if call not in answers]
        if not sent:
            return [answers.get(call) for call in calls]
        # A pipeline follows no redirection here: redis-py would repeat some of its commands, and so change their order.
        alone = {call.channel for call in sent if call.is_redirected}
        together = [call for call in sent if call.channel not in alone]
        channels = set()
        pipeline = self._client.pipeline(transaction=False)
        for call in sent:
            is_first = call.channel not in channels
            channels.add(call.channel)
            with_text = is_first and (call.lacks_script or (not self._is_loaded and len(calls) > 1))
            call.by_function = self._uses_function
            script = ("EVAL", SCRIPT_TEXT) if with_text else ("EVALSHA", SCRIPT_SHA)
            words = (
                *(("FCALL", SCRIPT_NAME) if call.by_function else script),
                *(2, "{%s}:meta" % call.channel, "{%s}:log" % call.channel),
                *(call.channel, call.payload, *self._settings, call.key, str(self._key_window_ms)),
                *(LONG_AGO if call.only_asks else str(not_after_ms[call.channel]), *self._sharded),
            )
            if call.channel not in alone:
                pipeline.execute_command(*words)
                continue
            try:
                answers[call] = _read(self._client.execute_command(*words))
            except REDIS_ERRORS as error:
                answers[call] = _failure(error)
        try:
            if self._is_cluster:
                # From version 6 on, redis-py keeps the commands of a pipeline in a part of it.
                stack = getattr(pipeline, "_execution_strategy", None)
                replies = pipeline.send_cluster_commands(
                    pipeline.command_stack if stack is None else stack.command_queue,
                    raise_on_error=False,
                    allow_redirections=False,
                )
            else:
                replies = pipeline.execute(raise_on_error=False)
        except REDIS_ERRORS as error:
            # redis-py does not tell which calls were answered before.
            code, message, is_unknown = _failure(error)
            answers.update((call, (code, message, is_unknown or len(together) > 1)) for call in together)
        else:
            told = [_failure(reply) if isinstance(reply, Exception) else _read(reply) for reply in replies]
            answers.update(zip(together, told))
        return [answers.get(call) for call in calls]

    def _take(self, calls, answers):
        published, waiting = set(), []
        is_refused_form = False
        for call, answer in reversed(list(zip(calls, answers))):
            if isinstance(answer, Published):
                published.add(call.channel)
                call.result = answer
                self._is_loaded = True
                continue
            if answer is not None:
                code, message, is_unknown = answer
                is_form = self._learn(call, code, message)
                call.is_unknown = call.is_unknown or is_unknown
                # What Redis said before tells more than that the deadline cut the last try short.
                if code != "TIMEOUT" or call.last_failure is None:
                    call.last_failure = (code, message)
                is_refused_form = is_refused_form or is_form
                if call.only_asks and code == "TWLATE":
                    call.is_unknown = call.only_asks = False
                    is_refused_form = True
                elif not (is_form or code in PASSING):
                    call.fail(code, message)
                    continue
            call.is_overtaken = call.is_overtaken or call.channel in published
            if call.is_overtaken and not call.is_unknown:
                call.fail("OVERTAKEN", "a later publication of the channel was published")
            else:
                waiting.append(call)
        # If a later one was published, an earlier one must not be any more. So it is asked first which of them were.
        open_of = collections.Counter(call.channel for call in waiting)
        for call in waiting:
            is_asked = call.is_unknown and (call.is_overtaken or open_of[call.channel] > 1)
            call.only_asks = call.only_asks or is_asked
        return is_refused_form

    def _learn(self, call, code, message):
        """Returns whether Redis would take the same call in another form."""
        if code in ("NOSCRIPT", "CONNECTION", "TIMEOUT"):
            self._is_loaded = False
        if code in PASSING and code != "NOSCRIPT":
            self._clocks.clear()
        if code in STALE:
            if self._is_cluster:
                self._client.disconnect_connection_pools()
            else:
                self._client.connection_pool.disconnect()
        # Alone a call is followed to another server, and redis-py looks again who has which slots.
        call.is_redirected = self._is_cluster and code in ("MOVED", "ASK", "CONNECTION")
        if code == "NOSCRIPT":
            call.lacks_script = True
            return True
        if self._is_cluster and code in ("MOVED", "ASK"):
            return True
        is_forbidden = code == "NOPERM" and ("'eval'" in message or "'evalsha'" in message)
        if is_forbidden and not call.by_function:
            self._uses_function = True
            return True
        return False

    def _redis_time_ms(self, moment, channel):
        """`moment` of our monotonic clock on the clock of the channel's server, measured by the quickest of some answers."""
        node = self._client.get_node_from_key("{%s}:meta" % channel) if self._is_cluster else None
        server = node and node.name
        if server not in self._clocks or time.monotonic() - self._clocks[server][0] > CLOCK_COUNTS_FOR:
            measured = []
            for _ in range(CLOCK_MEASUREMENTS):
                sent = time.monotonic()
                seconds, microseconds = self._client.time(target_nodes=node) if node else self._client.time()
                received = time.monotonic()
                measured.append((received - sent, seconds + microseconds / 1e6 - (sent + received) / 2))
            self._clocks[server] = (time.monotonic(), min(measured)[1])
        return int((moment + self._clocks[server][1]) * 1_000) + 1


class _Call:
    def __init__(self, max_bytes, channel, data, key=None):
        self.channel = channel
        self.key = str(uuid.uuid4()) if key is None else key
        self.result = self.last_failure = None
        self.is_unknown = self.is_overtaken = self.only_asks = self.lacks_script = self.by_function = False
        self.is_redirected = False
        if not CHANNEL.fullmatch(channel):
            return self.fail("BAD_CHANNEL", "must be [A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127} and not begin with tw:")
        try:
            if not 1 <= len(self.key.encode()) <= MAX_KEY_BYTES:
                return self.fail("BAD_KEY", f"the key must have 1 to {MAX_KEY_BYTES} bytes")
        except UnicodeError as error:
            return self.fail("BAD_KEY", str(error))
        try:
            if isinstance(data, (bytes, bytearray, memoryview)):
                text = str(data, "utf-8")
            elif isinstance(data, str):
                text = data
            else:
                text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            self.payload = text.encode()
        except (TypeError, ValueError) as error:
            return self.fail("BAD_PAYLOAD", str(error))
        # Text that is no JSON reaches clients as a JSON string, so it counts escaped, with up to 6 bytes for one.
        size = len(self.payload)
        if size <= max_bytes < 6 * size + 2:
            try:
                json.loads(text)
            except ValueError:
                size = len(json.dumps(text, ensure_ascii=False).encode())
        if size > max_bytes:
            self.fail("TOO_LARGE", f"it is sent with more than {max_bytes} bytes")

    def fail(self, code, message):
        # The script looks for the key before it looks at the clock: what is late now was not published before.
        is_unknown = self.is_unknown and code != "TWLATE"
        self.result = PublishError(code, message, self.channel, self.key, "unknown" if is_unknown else "no")


def _failure(error):
    """code, message, and whether Redis may have executed the call."""
    message = str(error)
    code = WORD_OF_CLASS.get(type(error).__name__)
    if code is None and isinstance(error, redis.TimeoutError):
        return "TIMEOUT", message, True
    if code is None and not isinstance(error, redis.ResponseError):
        return "CONNECTION", message, True
    if "Function not found" in message:
        code = "NOFUNCTION"
    # Before version 7, Redis puts the script's line in front. redis-py leaves out ERR.
    word = re.match(r"(?:@\w+: \d+: )?-?([A-Z][A-Z0-9_]+)(?: |$)", message)
    return code or (word.group(1) if word else "ERR"), message, False


def _read(reply):
    try:
        epoch, offset, duplicate = reply
        epoch = epoch.decode() if isinstance(epoch, bytes) else epoch
        if re.fullmatch("[A-Za-z0-9]{1,16}", epoch) and int(offset) >= 1:
            return Published(epoch, int(offset), int(duplicate) == 1)
    except (TypeError, ValueError, AttributeError):
        pass
    return "BAD_REPLY", f"{SCRIPT_NAME} gave an answer that is not its own", True

"""Publishes with an offset: python3 publish.py CHANNEL PAYLOAD [IDEMPOTENCY_KEY]

Needs redis-py (Debian: python3-redis). REDIS_URL says where Redis is.
"""

import os
import pathlib
import sys

import redis

HISTORY_SIZE = 100
HISTORY_TTL_MS = 3_600_000
WINDOW_MS = 600_000
NOT_AFTER_MS = 0  # any time; or int(time.time() * 1000) + 5_000

script_text = pathlib.Path(__file__).with_name("tradewind_publish_1.lua").read_text("utf-8")
client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"))
# Sends EVALSHA, and loads the text when Redis does not know it.
tradewind_publish = client.register_script(script_text)


def publish(channel, payload, idempotency_key=""):
    """Returns epoch, offset, and whether the idempotency key was known."""
    keys = ["{%s}:meta" % channel, "{%s}:log" % channel]
    args = [channel, payload, HISTORY_SIZE, HISTORY_TTL_MS, idempotency_key, WINDOW_MS, NOT_AFTER_MS]
    epoch, offset, duplicate = tradewind_publish(keys=keys, args=args)
    return epoch.decode(), offset, duplicate == 1


if __name__ == "__main__":
    print(*publish(*sys.argv[1:]))

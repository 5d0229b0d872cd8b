"""Drives docs/publish/publish.py for the tests: a line of JSON for each call, and one for each answer."""

import base64
import json
import os
import pathlib
import sys

import redis
import redis.cluster

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "docs" / "publish"))
import publish  # noqa: E402


def data_of(item):
    if "base64" in item:
        return base64.b64decode(item["base64"])
    return item["text"] if "text" in item else item["json"]


def told(result):
    if isinstance(result, publish.PublishError):
        return {"code": result.code, "retryable": result.retryable, "published": result.published}
    return {"epoch": result.epoch, "offset": result.offset, "duplicate": result.duplicate}


options = json.loads(os.environ["OPTIONS"])
publisher = publish.Publisher(
    (redis.cluster.RedisCluster if "REDIS_CLUSTER" in os.environ else redis.Redis).from_url(
        os.environ["REDIS_URL"], socket_timeout=2
    ),
    history=options["history"],
    history_ttl_ms=options["historyTtlMs"],
    key_window_ms=options["keyWindowMs"],
    deadline_ms=options["deadlineMs"],
    max_publication_bytes=options["maxPublicationBytes"],
    use_function=options["useFunction"],
)
for line in sys.stdin:
    request = json.loads(line)
    publications = [(item["channel"], data_of(item), item.get("key")) for item in request["items"]]
    if request["many"]:
        results = publisher.publish_many(publications, request["deadlineMs"])
    else:
        try:
            results = [publisher.publish(*publications[0], request["deadlineMs"])]
        except publish.PublishError as error:
            results = [error]
    print(json.dumps([told(result) for result in results]), flush=True)

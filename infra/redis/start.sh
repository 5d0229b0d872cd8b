#!/bin/sh
# Starts Redis with redis.conf, with the users of users.acl, and with the function library, which it loads at each start because
# this Redis keeps nothing on a disk. For infra/compose.yaml. Further arguments go to redis-server.
#   REDIS_PASSWORD        of the users edge, ingest and console
#   REDIS_ADMIN_PASSWORD  of the user admin; without it nobody knows the password
#   FUNCTIONS             the file of the scripts
set -eu
here=$(dirname "$0")
functions=${FUNCTIONS:-$here/../../docs/publish/tradewind_publish_1.lua}
port=${REDIS_PORT:-6379}
password=${REDIS_PASSWORD:?is the password of the users edge, ingest and console}
admin_password=${REDIS_ADMIN_PASSWORD:-$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')}

hash_of() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

as_admin() { REDISCLI_AUTH=$admin_password redis-cli -e -p "$port" --user admin "$@"; }

load_functions() {
  attempts=300
  until as_admin PING >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || { echo 'the functions could not be loaded: Redis does not answer' >&2; exit 1; }
    sleep 0.1
  done
  { echo '#!lua name=tradewind_functions_1'; cat "$functions"; } | as_admin -x FUNCTION LOAD REPLACE
}

users=$(mktemp)
sed -e "s/^user admin on/& #$(hash_of "$admin_password")/" \
  -e "s/^user edge on/& #$(hash_of "$password")/" \
  -e "s/^user ingest on/& #$(hash_of "$password")/" \
  -e "s/^user console on/& #$(hash_of "$password")/" "$here/users.acl" >"$users"

load_functions &
exec redis-server "$here/redis.conf" --port "$port" --aclfile "$users" "$@"

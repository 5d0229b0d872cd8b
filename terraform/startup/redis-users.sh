# Users of a Redis of our own, as lines of its ACL file: those of infra/redis/users.acl, with each publisher's own channels. A
# test holds the two to each other. Needs read_secret, and Redis 7 or Valkey for what stands in parentheses.

# What finds the nodes of a Cluster, and follows its redirections. The same lines serve a single Redis, which answers none of it.
cluster_rules='+cluster|shards +cluster|slots +cluster|info +asking +readonly +command'

# publisher_rules PATTERN…: channels, with * for anything, and alone for all but tw:*, on which edges prove their links.
# What a function may do is what its caller may.
publisher_rules() {
  local channel
  printf 'resetkeys resetchannels -@all'
  printf ' %s' +ping '+client|setname' "$cluster_rules" +publish +spublish '+fcall|tradewind_publish_1'
  printf ' %s' +get +set +type +time +xadd +pexpire +persist
  for channel in "$@"; do
    if [ "$channel" = '*' ]; then printf ' &[^t]* &t &t[^w]* &tw &tw[^:]*'; else printf ' &%s' "$channel"; fi
    printf ' ~{%s}:meta ~{%s}:log ~{%s}:once:*' "$channel" "$channel" "$channel"
  done
  printf ' (+del'
  for channel in "$@"; do printf ' ~{%s}:log' "$channel"; done
  printf ')\n'
}

# What a node says of itself, for the console.
node_state='(+set +zadd +zremrangebyscore ~tw:node:* ~tw:nodes)'

# Publishes to all channels, and revokes tokens.
ingest_rules() {
  printf '%s' "$(publisher_rules '*')"
  printf ' +multi +exec (+zadd +zcard +zremrangebyscore +zrange +zrem ~tw:revocations) (+publish +spublish &tw:revoked &tw:revoked:{tw:revocations}) %s\n' "$node_state"
}

# Reads, starts epochs, writes its own heartbeat, and publishes to its probe alone.
edge_rules() {
  printf 'resetkeys ~{*}:meta ~{*}:log ~tw:heartbeat:* resetchannels &* -@all'
  printf ' %s' +ping '+client|setname' +info "$cluster_rules" +subscribe +unsubscribe '+pubsub|numsub' +ssubscribe +sunsubscribe '+pubsub|shardnumsub' +multi +exec
  printf ' %s' +get +getrange +mget +set +xrange '+fcall|tradewind_epoch_1' +type +time '(+del ~{*}:log)' '(+publish +spublish &tw:probe:*)' '(+zrange %R~tw:revocations)' '(+get %R~tw:console:watch)' "$node_state"
  printf '\n'
}

# Reads what nodes say of themselves, and asks them.
console_rules() {
  printf 'resetkeys %%R~tw:node:* %%R~tw:nodes resetchannels -@all'
  printf ' %s' +ping '+client|setname' +info "$cluster_rules" +zrange +mget '(+set ~tw:console:watch)'
  printf '\n'
}

# rules_of USER [PATTERN…]
rules_of() {
  local user=$1
  shift
  case $user in
  edge) edge_rules ;;
  ingest) ingest_rules ;;
  console) console_rules ;;
  replication) printf 'resetkeys resetchannels -@all +psync +replconf +ping\n' ;;
  admin) printf '~* &* +@all\n' ;;
  *) publisher_rules "$@" ;;
  esac
}

# print_users: each line of stdin is a user, the version of the secret that holds the password, and, of a publisher,
# its channels. Redis gets the hash of the password only.
print_users() {
  local line hash
  local -a words
  printf 'user default off\n'
  while read -r line; do
    read -r -a words <<<"$line"
    [ "${#words[@]}" -ge 2 ] || continue
    hash=$(read_secret "${words[1]}" | tr -d '\r\n' | sha256sum | cut -d ' ' -f 1)
    printf 'user %s on #%s %s\n' "${words[0]}" "$hash" "$(rules_of "${words[0]}" "${words[@]:2}")"
  done
}

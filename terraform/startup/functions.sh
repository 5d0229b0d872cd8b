# What the start-up scripts of all VMs share. Needs $root, $metadata_host, $storage_host, $secret_manager_host.

# How long, in s, Google may answer 403 because a right that was given a moment ago is not known everywhere yet, as at
# a first apply; and how often it is asked meanwhile. Tests set others.
rights_wait_seconds=${rights_wait_seconds:-600}
rights_pause_seconds=${rights_pause_seconds:-10}

log() { printf 'tradewind: %s\n' "$*"; }

fail() {
  log "$*" >&2
  exit 1
}

# get URL FILE HEADER [CURL'S OPTION…]: the header comes by stdin, so that no token shows in the list of processes.
get() {
  local url=$1 file=$2 header=$3
  shift 3
  curl --silent --show-error --fail --location --retry 5 --retry-connrefused --retry-max-time 120 \
    --connect-timeout 5 --max-time 300 --header @- --output "$file" "$@" "$url" <<<"$header"
}

# metadata PATH: what the metadata server says.
metadata() { get "$metadata_host/computeMetadata/v1/$1" - 'Metadata-Flavor: Google'; }

# json_string NAME: the value of a string that needs no unescaping, out of the JSON on stdin.
json_string() { tr -d '\n' | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

authorization() {
  local token
  token=$(metadata instance/service-accounts/default/token | json_string access_token)
  [ -n "$token" ] || fail 'the metadata server gave no access token'
  printf 'Authorization: Bearer %s' "$token"
}

# fetch URL FILE: gets with the rights of the VM, which curl's own repetitions do not wait for.
fetch() {
  local header status deadline=$((SECONDS + rights_wait_seconds))
  while true; do
    header=$(authorization)
    status=$(get "$1" "$2" "$header" --write-out '%{http_code}') && return
    [ "$status" = 403 ] || fail "could not fetch $1: $status"
    [ "$SECONDS" -lt "$deadline" ] || fail "may not fetch $1: 403 for $rights_wait_seconds s"
    log "may not fetch $1 yet" >&2
    sleep "$rights_pause_seconds"
  done
}

# read_secret VERSION: the bytes of a secret's version, projects/P/secrets/S/versions/V.
read_secret() {
  local answer data
  answer=$(fetch "$secret_manager_host/v1/$1:access" /dev/fd/3 3>&1 >&2)
  data=$(json_string data <<<"$answer")
  [ -n "$data" ] || fail "secret $1 is empty"
  printf '%s' "$data" | base64 --decode
}

# write_file PATH MODE GROUP COMMAND…: what the command prints becomes the file, at once, or not at all when it fails.
# Not for a condition, in which bash does not stop at what fails.
write_file() {
  local path=$1 mode=$2 group=$3
  shift 3
  mkdir -p "$(dirname "$path")"
  (
    umask 077
    "$@" >"$path.new"
  )
  chmod "$mode" "$path.new"
  if [ -z "$root" ]; then chown "root:$group" "$path.new"; fi
  mv "$path.new" "$path"
}

# install_release BUCKET OBJECT SHA256 DIRECTORY: unpacks a verified tarball. What does not have the
# checksum is removed and never unpacked.
install_release() {
  local archive="$4.tar.gz"
  if [ -e "$4/.complete" ] && [ "$(cat "$4/.complete")" = "$3" ]; then
    log "$4 is there"
    return
  fi
  mkdir -p "$(dirname "$4")"
  fetch "$storage_host/$1/$2" "$archive"
  if ! printf '%s  %s\n' "$3" "$archive" | sha256sum --check --status; then
    rm -f "$archive"
    fail "gs://$1/$2 does not have the checksum $3; nothing is started"
  fi
  rm -rf "$4" "$4.new"
  mkdir -p "$4.new"
  tar --extract --gzip --no-same-owner --file "$archive" --directory "$4.new"
  rm -f "$archive"
  printf '%s\n' "$3" >"$4.new/.complete"
  chmod -R u+rwX,go+rX,go-w "$4.new"
  mv "$4.new" "$4"
  log "installed $4"
}

# memory_kb: of the machine.
memory_kb() { sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo; }

# add_user NAME: a user of the system, without a home or a shell.
add_user() {
  if [ -n "$root" ] || id "$1" >/dev/null 2>&1; then return; fi
  useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1"
}

# Google's images bring chrony, which asks the metadata server. Where it is missing, timesyncd does: a
# publication's timestamp and the lag that is measured from it are worth what the clocks are.
keep_time() {
  if systemctl is-active --quiet chrony.service; then return; fi
  write_file "$root/etc/systemd/timesyncd.conf.d/60-tradewind.conf" 0644 root \
    printf '[Time]\nNTP=metadata.google.internal\n'
  systemctl restart systemd-timesyncd.service || log 'no clock synchronisation: neither chrony nor timesyncd'
}

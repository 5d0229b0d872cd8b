#!/bin/sh
# Installs Debian packages, as root, without starting the services that come with them.
# Usage: install-debian-packages.sh PACKAGE...
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  # Debian's own switch: 101 forbids that a package starts or restarts its service.
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends "$@" >/dev/null

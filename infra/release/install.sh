#!/bin/sh
# Puts the release that it lies in into place: the link that the unit starts, the unit, the kernel's settings, the
# user. Starts and restarts nothing. Can be run again; a second release takes the place of the first.
# Usage: install.sh [ROOT]; ROOT is where another system is mounted, and nothing is loaded there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${1:-}
unit=$(basename "$here"/systemd/tradewind-*.service)
service=${unit#tradewind-}
service=${service%.service}
home=${here#"$root"}
link=/opt/tradewind/$service
settings=/etc/tradewind/$service.env
before=$(readlink "$root$link" || true)

# The link tells the path as it will be on the system that is started.
mkdir -p "$root/opt/tradewind" "$root/etc/systemd/system" "$root/etc/sysctl.d" "$root/etc/sysusers.d" \
  "$root/etc/tmpfiles.d" "$root/etc/tradewind"
ln -sfn "$home" "$root$link"
cp "$here/systemd/$unit" "$root/etc/systemd/system/$unit"
# Of the operator are /etc/sysctl.d/61-*.conf, which count after it. What somebody wrote into this one is not lost.
kernel=$root/etc/sysctl.d/60-tradewind.conf
kept=
if [ -e "$kernel" ] && ! cmp -s "$here/sysctl/60-tradewind.conf" "$kernel"; then
  cp -p "$kernel" "$kernel.before"
  kept=/etc/sysctl.d/60-tradewind.conf.before
fi
cp "$here/sysctl/60-tradewind.conf" "$kernel"
cp "$here/systemd/sysusers.conf" "$root/etc/sysusers.d/tradewind.conf"
# Transparent huge pages for who asks for them only: looking for some stops a process for milliseconds, and what was
# given back is held in pieces of 2 MiB. Written anew at every boot.
echo 'w- /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise' >"$root/etc/tmpfiles.d/tradewind.conf"
# Settings may hold tokens; systemd reads them before it gives up its rights.
chmod 0750 "$root/etc/tradewind"

if [ -z "$root" ]; then
  systemd-sysusers /etc/sysusers.d/tradewind.conf
  chgrp tradewind /etc/tradewind
  # All files in their order: the machine's own settings must win at once, as they do at the next boot.
  sysctl --quiet --system || echo "install.sh: sysctl --system could not set everything" >&2
  systemd-tmpfiles --create /etc/tmpfiles.d/tradewind.conf
  systemctl daemon-reload
fi

cat <<END
Tradewind $service $(cat "$here/VERSION" 2>/dev/null || echo '(no version)') is in place${root:+ below $root}; nothing was started.
  $link -> $home${before:+ (before: $before)}
  /etc/systemd/system/$unit
  /etc/sysusers.d/tradewind.conf      the user and group tradewind
  /etc/sysctl.d/60-tradewind.conf     sockets, queues and memory of the whole machine
  /etc/tmpfiles.d/tradewind.conf      transparent huge pages of the whole machine: madvise
END
if [ -n "$kept" ]; then
  echo "  $kept    was there before and differs: put changes of your own into /etc/sysctl.d/61-tradewind.conf, then sysctl --system"
fi
echo 'Next:'
if [ ! -e "$root$settings" ]; then
  echo "  cp $link/examples/$service.env $settings    # then edit it; $link/docs/configuration.md"
fi
cat <<END
  systemd-run --quiet --pipe --wait -p User=tradewind -p Group=tradewind -p EnvironmentFile=$settings $link/bin/node $link/app/main.js --check
  systemctl enable tradewind-$service && systemctl restart tradewind-$service
END

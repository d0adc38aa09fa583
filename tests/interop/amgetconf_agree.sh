#!/bin/sh
# Compares what Amanda's own tools and ours make of the configurations in tests/data/config: every parameter
# (amadmin CONF config), some of them one by one (amgetconf), the names of blocks, command-line overrides,
# disklists, and which texts are accepted at all. In a mount namespace of its own, so that the machine's
# /etc/amanda and logs are not touched.
#
# Usage: HEADRACE=path/to/headrace amgetconf_agree.sh    exits 0 agree, 1 differ, 77 cannot run here
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${HEADRACE:?names the headrace program}"
command -v amgetconf >/dev/null && command -v amadmin >/dev/null || { echo "Amanda is not installed"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "needs root, for a mount namespace and the dump user"; exit 77; }
export HEADRACE
exec unshare --mount --propagation private sh -euc '
  mount -t tmpfs -o mode=755 tmpfs /etc/amanda
  [ ! -d /var/log/amanda ] || mount -t tmpfs -o mode=777 tmpfs /var/log/amanda
  cp -r "$1/../data/config/." /etc/amanda/
  chmod -R a+rX /etc/amanda
  exec python3 "$1/amgetconf_agree.py"
' sh "$here"

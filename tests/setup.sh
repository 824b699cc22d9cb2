#!/bin/sh
# The programs that the tests need, from Debian: installs what is missing as root, otherwise names the command.
set -eu

missing=""
need() { # need PACKAGE TEST…: note PACKAGE where the test fails
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
has_postgres() { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; }
has_named() { command -v named || ls /usr/sbin/named; }
has_chinese() { fc-list :lang=zh family | grep -q .; }

need redis-server command -v redis-server
need postgresql has_postgres
need pebble command -v pebble
need bind9 has_named
need chromium command -v chromium
need faketime command -v faketime
need fonts-wqy-microhei has_chinese

[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "The tests need:$missing (the names of Debian's packages). Install them and try again." >&2
    exit 1
fi
install="apt-get install --yes --no-install-recommends$missing"
if [ "$(id -u)" != 0 ]; then
    echo "The tests need programs that are not installed. Run this and try again:" >&2
    echo "    sudo $install" >&2
    exit 1
fi
echo "Installing$missing"
apt-get update --quiet --quiet
DEBIAN_FRONTEND=noninteractive $install --quiet --quiet >/dev/null

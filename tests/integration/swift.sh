#!/usr/bin/env bash
# OpenStack Swift with its S3 API, on loopback only, for tests: a real S3 service that knows no conditional writes.
#   swift.sh start FOLDER   installs Debian's packages when root may and they are missing; prints what the tests need
#   swift.sh stop FOLDER    ends what start began
# Everything lies below FOLDER. Nothing outlives an hour. Exit status 3: it cannot be had on this machine.
set -eu

packages=(swift-proxy swift-account swift-container swift-object memcached)
port=${CDRKIT_SWIFT_PORT:-18580} # and the four that follow it
seconds=3600

say() { echo "swift: $*" >&2; }

present() {
    command -v memcached swift-ring-builder swift-proxy-server swift-account-server swift-container-server \
        swift-object-server >/dev/null
}

install() {
    present && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "install ${packages[*]} to run these tests"
        exit 3
    fi
    export DEBIAN_FRONTEND=noninteractive
    { timeout 120 apt-get -qq update && timeout 480 apt-get -qq install -y --no-install-recommends "${packages[@]}"; } \
        >&2 || true
    present || { say "the packages could not be installed"; exit 3; }
}

# Run a program in the background; it ends with stop, or when its time is over.
launch() {
    local name=$1
    shift
    timeout --kill-after=10 "$seconds" "$@" >"$root/$name.log" 2>&1 </dev/null &
    echo $! >"$root/$name.pid"
}

server_settings() {
    printf '[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = %s\nuser = %s\nswift_dir = %s\nworkers = 0\nlog_level = WARNING\n' \
        "$1" "$(id -un)" "$root"
}

# An account, container or object server, and the ring of one device that leads to it.
storage_server() {
    local kind=$1 at=$2
    (
        cd "$root"
        swift-ring-builder "$kind.builder" create 2 1 0
        swift-ring-builder "$kind.builder" add "r1z1-127.0.0.1:$at/disk" 1
        swift-ring-builder "$kind.builder" rebalance
    ) >"$root/$kind.ring.log"
    {
        server_settings "$at"
        printf 'devices = %s\nmount_check = false\nfallocate_reserve = 0\n' "$root/devices"
        printf '[pipeline:main]\npipeline = %s-server\n[app:%s-server]\nuse = egg:swift#%s\n' "$kind" "$kind" "$kind"
    } >"$root/$kind.conf"
    launch "$kind" "swift-$kind-server" "$root/$kind.conf"
}

proxy_server() {
    {
        server_settings "$port"
        echo '[pipeline:main]'
        # Not for its log: without proxy-logging, answers without a body lack the length that keeps connections usable.
        printf 'pipeline = catch_errors gatekeeper proxy-logging cache listing_formats bulk s3api tempauth slo dlo '
        echo 'proxy-logging proxy-server'
        printf '[filter:proxy-logging]\nuse = egg:swift#proxy_logging\n'
        printf '[app:proxy-server]\nuse = egg:swift#proxy\nallow_account_management = true\naccount_autocreate = true\n'
        printf '[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:%s\n' $((port + 4))
        printf '[filter:s3api]\nuse = egg:swift#s3api\nlocation = us-east-1\n'
        printf '[filter:tempauth]\nuse = egg:swift#tempauth\nuser_calls_tester = testing .admin\n'
        for filter in catch_errors gatekeeper listing_formats bulk slo dlo; do
            printf '[filter:%s]\nuse = egg:swift#%s\n' "$filter" "$filter"
        done
    } >"$root/proxy.conf"
    launch proxy swift-proxy-server "$root/proxy.conf"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
    install
    if answers "$port"; then
        say "port $port is taken; set CDRKIT_SWIFT_PORT"
        exit 3
    fi
    rm -rf "$root"
    mkdir -p "$root/devices/disk"
    printf '[swift-hash]\nswift_hash_path_prefix = cdr\nswift_hash_path_suffix = kit\n[storage-policy:0]\nname = one\ndefault = yes\n' \
        >"$root/swift.conf"
    launch memcached memcached -u "$(id -un)" -l 127.0.0.1 -p $((port + 4)) -m 16
    storage_server account $((port + 1))
    storage_server container $((port + 2))
    storage_server object $((port + 3))
    proxy_server
    for at in "$port" $((port + 1)) $((port + 2)) $((port + 3)) $((port + 4)); do
        for _ in $(seq 120); do
            answers "$at" && continue 2
            sleep 0.25
        done
        say "nothing answers on port $at"
        tail -n 5 "$root"/*.log >&2
        stop
        exit 1
    done
    echo "CDRKIT_SWIFT_ENDPOINT=http://127.0.0.1:$port"
    echo "CDRKIT_SWIFT_KEY=calls:tester"
    echo "CDRKIT_SWIFT_SECRET=testing"
}

stop() {
    local file
    for file in "$root"/*.pid; do
        [ -e "$file" ] || continue
        kill "$(cat "$file")" 2>/dev/null || true
        rm -f "$file"
    done
}

[ $# = 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$2"
root=$(cd "$2" && pwd)/swift
case $1 in
start) start ;;
stop) stop ;;
*) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
esac

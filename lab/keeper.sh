#!/bin/sh
# Holds one guest: keeper.sh DIRECTORY QEMU ARGUMENT...
# Standard input is a pipe from the lab's process. When it closes, whatever the reason, the guest ends; when a line
# comes through it, the guest stays until somebody ends it (`lab up`). Removes DIRECTORY when the guest is gone.
# The guest in turn dies with this process.
directory=$1
shift
exec 3<&0 </dev/null
trap 'kill "$guest" 2>/dev/null' TERM INT HUP
setpriv --pdeathsig KILL -- "$@" 3<&- &
guest=$!
(read -r _ <&3 || kill "$guest") 2>/dev/null &
watcher=$!
echo "$guest" >"$directory/guest.pid"
exec 3<&-
while kill -0 "$guest" 2>/dev/null; do
    wait "$guest"
done
kill "$watcher" 2>/dev/null
rm -rf "$directory"

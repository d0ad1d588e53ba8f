#!/bin/sh
# First process of a guest whose hosts are namespaces: joins them by bridges and starts them all at once.
# The plan (/run/lab) is made outside: `bridges` and `links` are `ip -batch` files, hosts/NAME/ is one host.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /run/lab || exit
mkdir -p /dev/pts /dev/shm /run/netns roots
mount -t tmpfs tmpfs /tmp

# The segments are wires: no addresses, no router advertisements, nothing of their own to say.
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
modules=$(cat modules)
[ -z "$modules" ] || modprobe -a $modules || echo "@lab failed: modprobe $modules" >/dev/console

ip -batch bridges || echo "@lab failed: bridges" >/dev/console
for host in hosts/*; do
    ip netns add "${host##*/}"
done
ip -batch links || echo "@lab failed: links" >/dev/console

for host in hosts/*; do
    name=${host##*/}
    nsenter --net="/run/netns/$name" unshare --mount --uts --ipc --pid --fork sh guest/host.sh "$name" \
        </dev/null >/dev/console 2>&1 &
done

# Stay, and bury what has died. Nothing may end this process: the kernel would.
while :; do
    sleep 3600 &
    wait $!
done

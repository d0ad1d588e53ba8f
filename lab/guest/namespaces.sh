#!/bin/busybox sh
# First process of a guest whose hosts are namespaces: joins them by bridges and starts them all at once.
# The plan (/run/lab) is made outside: `network` is an `ip -batch` file, hosts/NAME/ is one host.
# busybox, because its commands start in a third of the time and a boot is mostly starting commands.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset HOME TERM
cd /run/lab || exit
mkdir -p /dev/pts /dev/shm /run/netns
mount -t tmpfs tmpfs /tmp

# Making devices waits for grace periods; while nobody uses the network yet they need not be waited for in full.
echo 1 >/sys/kernel/rcu_expedited
# The segments are wires: no addresses, no router advertisements, nothing of their own to say.
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6

modules=$(cat modules)
[ -z "$modules" ] || /sbin/modprobe -a $modules || echo "@lab failed: modprobe $modules" >/dev/console
/sbin/ip -batch network || echo "@lab failed: network" >/dev/console

# Each host says one line when its sshd listens.
mkfifo ready
exec 9<>ready
for host in hosts/*; do
    nsenter --net="/run/netns/${host##*/}" -- unshare --mount --uts --ipc --pid --fork \
        busybox sh guest/host.sh "${host##*/}" </dev/null >/dev/console 2>&1 &
done
for host in hosts/*; do
    read -r name <&9
    echo "@lab ready $name" >/dev/console
done
echo 0 >/sys/kernel/rcu_expedited
echo "@lab up" >/dev/console

# Stay, and bury what has died. Nothing may end this process: the kernel would.
while :; do
    sleep 3600 &
    wait $!
done

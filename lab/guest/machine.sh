#!/bin/busybox sh
# Makes the root file system of a full machine (init: systemd) ready: runs in the initrd at every boot, with the root
# as $1. Files are brought once: after a reboot the machine finds its disk as it left it.
root=$1

# In the order of the command line: the management interface first, then the host's own.
ip link set eth0 name mgmt
at=0
while [ -e "/sys/class/net/eth$((at + 1))" ]; do
    ip link set "eth$((at + 1))" name "eth$at"
    at=$((at + 1))
done

[ -s "$root/etc/machine-id" ] && exit 0
for host in /lab/hosts/*; do
    cp -a "$host/upper/." "$root/"
    cp -a "$host/machine/." "$root/"
done
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../lab-ready.service "$root/etc/systemd/system/multi-user.target.wants/lab-ready.service"

#!/bin/busybox sh
# First process of one lab host, in namespaces of its own: sysctls, addresses, a root of its own above the shared one,
# sshd. Runs as PID 1 of the host and stays.
name=$1
plan=/run/lab/hosts/$name
fail() {
    echo "@lab failed: $name: $1"
}
set_all() {
    for file in /proc/sys/net/ipv4/conf/*/"$1"; do
        echo "$2" >"$file"
    done
}

echo "$name" >/proc/sys/kernel/hostname
# "default" is for interfaces that come later.
if [ -e "$plan/forward" ]; then
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    set_all rp_filter 0
    set_all send_redirects 0
else
    # Stricter than Debian's default of 0, as other distributions are.
    set_all rp_filter 1
fi
/sbin/ip -batch "$plan/addresses" || fail "addresses and routes"

mount -t overlay -o "lowerdir=/,upperdir=$plan/upper,workdir=$plan/work" overlay "$plan/merged" || fail "root"
cd "$plan/merged" || exit
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --bind /dev dev
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir run/lock run/sshd
pivot_root . mnt || fail "pivot_root"
cd /
umount -l /mnt

/usr/sbin/sshd 9>&- || fail "sshd"
until [ -s /run/sshd.pid ]; do
    usleep 100000
done
echo "$name" >&9

# From here on this is the host's init: it adopts orphans and buries them.
exec sh -c 'while :; do sleep 3600 & wait $!; done' </dev/null >/dev/null 2>&1 9>&-

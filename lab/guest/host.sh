#!/bin/sh
# First process of one lab host, in namespaces of its own: a root of its own above the shared one, sysctls, addresses,
# sshd. Runs as PID 1 of the host and stays.
name=$1
plan=/run/lab/hosts/$name
fail() {
    echo "@lab failed: $name: $1"
}

hostname "$name"
base=/run/lab/roots/$name
mkdir -p "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" overlay "$base/root" || fail "root"
cd "$base/root" || exit
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p run/lock run/sshd .outside
cp -r "$plan/root/." .
chmod 700 root/.ssh
chmod 600 root/.ssh/* etc/ssh/ssh_host_ed25519_key
ip_batch=$(cat "$plan/addresses")
router=no
[ -e "$plan/forward" ] && router=yes
pivot_root . .outside || fail "pivot_root"
cd /
umount -l /.outside
rmdir /.outside

# Stricter than Debian's default of 0, as other distributions are. "default" is for interfaces that come later.
set_all() {
    for file in /proc/sys/net/$1/conf/*/$2; do
        echo "$3" >"$file"
    done
}
if [ $router = yes ]; then
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    set_all ipv4 rp_filter 0
    set_all ipv4 send_redirects 0
else
    set_all ipv4 rp_filter 1
fi
# lo first: without it the kernel refuses every IPv4 real server.
printf 'link set lo up\n%s\n' "$ip_batch" | ip -batch - || fail "addresses"

env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /usr/sbin/sshd || fail "sshd"
until [ -s /run/sshd.pid ]; do
    busybox usleep 20000
done
echo "@lab ready $name"

# From here on this is the host's init: it adopts orphans and buries them.
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    sh -c 'while :; do sleep 3600 & wait $!; done' </dev/null >/dev/null 2>&1

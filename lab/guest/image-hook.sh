#!/bin/sh
# Last step of the image: runs on the machine, as mmdebstrap's customize hook, with the finished root as $1.
# Leaves in $2: vmlinuz, root.ext4, and initrd/ with what the guest needs to find its root.
set -eu
root=$1
out=$2

# Host keys are made per lab; services are started by whoever tests them; a login should cost no more than a login.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/etc/update-motd.d/* "$root"/etc/machine-id "$root"/var/lib/dbus/machine-id
: >"$root/etc/machine-id"
: >"$root/etc/resolv.conf"
sed -i '/pam_motd/d' "$root/etc/pam.d/sshd" "$root/etc/pam.d/login"
for unit in nginx keepalived vsftpd nftables ipvsadm dnsmasq; do
    chroot "$root" systemctl disable "$unit" >/dev/null 2>&1 || true
done
# A small guest needs none of these, and each costs seconds under emulation.
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    dpkg-db-backup.timer systemd-timesyncd.service systemd-pstore.service systemd-journal-flush.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-binfmt.service systemd-rfkill.socket \
    ifupdown-pre.service systemd-random-seed.service systemd-machine-id-commit.service systemd-firstboot.service \
    getty@tty1.service serial-getty@ttyS0.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount \
    modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
    modprobe@dm_mod.service modprobe@loop.service systemd-quotacheck.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/boot/initrd* "$root"/initrd.img* "$root"/vmlinuz*

kernel=$(ls "$root/lib/modules")
cp "$root/boot/vmlinuz-$kernel" "$out/vmlinuz"

# The initrd: busybox, the modules on the way to the root file system, and the ones every lab uses.
mkdir -p "$out/initrd/bin" "$out/initrd/modules"
cp "$root/bin/busybox" "$out/initrd/bin/busybox"
: >"$out/initrd/modules/order"
chroot "$root" sh -c 'for m in virtio_pci virtio_blk ext4 virtio_net overlay veth bridge; do
    modprobe -S "$1" --show-depends "$m" || exit 1; done' sh "$kernel" | while read -r verb file _; do
    [ "$verb" = insmod ] || continue
    name=${file##*/}
    [ -e "$out/initrd/modules/$name" ] && continue
    cp "$root$file" "$out/initrd/modules/$name"
    echo "$name" >>"$out/initrd/modules/order"
done

# No journal: the image is never written, each lab writes to a snapshot of its own. The bind mount shows the root
# without the /proc and /sys that mmdebstrap has mounted in it.
mkdir "$out/view"
unshare --mount sh -c 'mount --bind "$1" "$2/view" && mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$2/view" \
    "$2/root.ext4" 2000M' sh "$root" "$out"
rmdir "$out/view"

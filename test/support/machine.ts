/** A full machine with systemd, as a whole: everything of ours and beside us, and what our unit does. */
import type { Lab } from "./lab";

/** Each line alike however often it is asked. */
const PICTURE = `
ipvsadm -Sn | sort
ipvsadm -Ln --thresholds | sed 's/ *[0-9]* *[0-9]* *$//' | tail -n +2
ipvsadm -L --timeout
ipvsadm -L --daemon
ip -o addr show | sed 's/^[0-9]*: //;s/\\\\.*//' | grep -v fe80 | sort
for d in /sys/class/net/lvs-*; do [ ! -e "$d" ] || ip -d -o link show dev "\${d##*/}" | sed 's/^[0-9]*: //;s/ permaddr [^ ]*//'; done
ip fou show; ip -6 fou show
nft list table inet pulumi_lvs
grep -H . /proc/sys/net/ipv4/vs/* /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
grep -H . /proc/sys/net/ipv4/conf/*/arp_ignore /proc/sys/net/ipv4/conf/*/arp_announce /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/forwarding
grep -H . /sys/module/ip_vs/parameters/conn_tab_bits /sys/module/ip_vs_ftp/parameters/ports || :`;

/** The shell text that waits until our unit has done what it was told to, at most a minute, and prints its state. */
export const settled = `
for i in $(seq 120); do
    case $(systemctl show -P ActiveState pulumi-lvs) in activating|reloading|deactivating) ;; *)
        [ -n "$(systemctl list-jobs --no-legend 'pulumi-lvs*')" ] || break ;;
    esac
    sleep 0.5
done
systemctl is-active pulumi-lvs || :`;

/** What the machine looks like. */
export const pictureOf = async (lab: Lab): Promise<string[]> => (await lab.sh("machine", PICTURE)).split("\n");

/** Waits until the machine looks as it is to, at most two minutes: what came last is in the failure. */
export async function expectPicture(lab: Lab, wanted: string[]): Promise<void> {
    let found: string[] = [];
    for (const end = Date.now() + 120_000; Date.now() < end; ) {
        await lab.sh("machine", settled);
        found = await pictureOf(lab);
        if (found.join("\n") === wanted.join("\n")) return;
    }
    expect(found).toEqual(wanted);
}

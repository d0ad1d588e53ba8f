/** The hosts of the tests of faults (`faults.json`), what others have on them, and a look at all that could be ours. */
import { disarm } from "./traps";

export const HOSTS = ["dir", "web1", "web2"] as const;
export type HostName = (typeof HOSTS)[number];

export const forEach = <T>(work: (host: HostName) => T): Record<HostName, T> =>
    Object.fromEntries(HOSTS.map((host) => [host, work(host)])) as Record<HostName, T>;

export const everywhere = async <T>(work: (host: HostName) => Promise<T>): Promise<Record<HostName, T>> =>
    Object.fromEntries(await Promise.all(HOSTS.map(async (host) => [host, await work(host)]))) as Record<HostName, T>;

/** What others have on the hosts, in the same tables. */
export const FOREIGN: Record<HostName, string> = {
    dir: `modprobe ip_vs; ipvsadm -A -t 10.77.1.200:99 -s rr; ipvsadm -a -t 10.77.1.200:99 -r 10.77.1.21:99 -g -w 7
        ip addr add 10.77.1.201/32 dev eth0; sysctl -qw net.ipv4.conf.eth0.log_martians=1
        nft add table inet foreign; nft add chain inet foreign there
        nft add rule inet foreign there tcp dport 9 drop`,
    web1: "ip addr add 10.77.1.202/32 dev lo; sysctl -qw net.ipv4.conf.eth0.log_martians=1",
    web2: "ip link add theirs type dummy; ip addr add 10.77.1.203/32 dev theirs; sysctl -qw net.ipv4.conf.eth0.log_martians=1",
};
const FOREIGN_LINE = /10\.77\.1\.20[0-3]|conf\/eth0\/log_martians|foreign|dport 9 |theirs/;
/** Loaded once, they stay: what they bring is there from the start, so that every look can be compared with every other. */
export const MODULES = "modprobe -a ip_vs ip_vs_rr ip_vs_wlc ip_vs_sh ipip fou nf_tables nf_conntrack nft_masq";

/** A host as an operator would look at it; of the ledger what it claims, without who wrote it when. */
const LOOK = `
ip -o addr show | sed 's/^[0-9]*: //;s/\\\\.*//'
for d in /sys/class/net/lvs*; do [ -e $d ] && ip -d -o link show dev \${d##*/} | sed 's/^[0-9]*//;s/\\\\.*link/link/'; done
[ ! -d /sys/module/fou ] || ip fou show
if [ -e /proc/net/ip_vs ]; then
    ipvsadm -Sn
    ipvsadm -Ln --thresholds | sed -n '/^  -> [0-9]/p'
    ipvsadm -L --timeout
fi
nft list ruleset
for f in /var/lib/pulumi-lvs /var/lib/pulumi-lvs/.new /var/lib/pulumi-lvs/boot /etc/systemd/system/pulumi-lvs.service \\
    /etc/systemd/system/multi-user.target.wants/pulumi-lvs.service; do [ -e $f ] || [ -L $f ] && echo $f; done
grep -h -e '^owner' -e '^claim' -e '^draining' /var/lib/pulumi-lvs/*.claims 2>/dev/null
cd /proc/sys/net && grep -s . ipv4/ip_forward ipv4/vs/expire_nodest_conn ipv4/vs/sloppy_tcp ipv4/conf/*/log_martians \\
    ipv4/conf/*/arp_* ipv4/conf/*/rp_filter ipv4/conf/*/forwarding ipv4/conf/*/accept_redirects ipv4/conf/*/send_redirects
:
`;
/** Devices that a module puts into every namespace, and settings of devices that come and go with them. */
const OF_MODULES = /(?:^|[ /:])(?:tunl0|gre0|gretap0|erspan0|sit0|ip6tnl0|ip6gre0)(?:$|[ /:@])/;

export const isForeign = (line: string): boolean => FOREIGN_LINE.test(line);

/** The lines of each host, sorted. */
export type Look = Record<HostName, string[]>;

/** Runs a shell text on a host. */
export type On = (host: HostName, script: string) => Promise<string>;

const linesOf = (text: string): string[] =>
    text
        .split("\n")
        .filter((line) => line !== "" && !OF_MODULES.test(line))
        .sort();

/** The lines of one host. */
export const lookBy = async (sh: (script: string) => Promise<string>): Promise<string[]> => linesOf(await sh(LOOK));

export const lookAt = (on: On): Promise<Look> => everywhere((host) => lookBy((script) => on(host, script)));

/** The hosts, how many commands their traps have counted, and which went wrong; they are disarmed. */
export async function lookWithTraps(on: On) {
    const told = await everywhere(async (host) => {
        const [traps = "", seen = ""] = (await on(host, `${disarm}\necho ===\n${LOOK}`)).split("===\n");
        const [commands = "0", sprung = ""] = traps.split("\n");
        return { seen: linesOf(seen), commands: Number(commands), sprung };
    });
    return {
        seen: forEach((host) => told[host].seen),
        commands: forEach((host) => told[host].commands),
        sprung: forEach((host) => told[host].sprung),
    };
}

/** Whether an error tells what is left on a host. */
export const tellsWhatIsLeft = (message: string): boolean =>
    /Left (on|there)|is not known|failed too|is left as it is/.test(message);

/** The lines that two looks do not share, with the host. */
export function differences(before: Look, after: Look, only: (line: string) => boolean = () => true): string[] {
    return HOSTS.flatMap((host) => {
        const gone = before[host].filter((line) => only(line) && !after[host].includes(line));
        const came = after[host].filter((line) => only(line) && !before[host].includes(line));
        return [...gone.map((line) => `${host} - ${line}`), ...came.map((line) => `${host} + ${line}`)];
    });
}

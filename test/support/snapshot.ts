/** What a host is like, in the respects that an operator would look at: to be compared before and after. */
import type { Lab } from "./lab";

export interface Snapshot {
    addresses: string[];
    links: string[];
    routes: string[];
    ipvs: string[];
    nft: string[];
    files: string[];
    sysctls: string[];
}

/** Left out: a counter, and a key that the kernel draws when a program first listens with TCP Fast Open. */
const sections: Record<keyof Snapshot, string> = {
    addresses: "ip -o addr show | tr -d '\\\\'",
    links: "ip -o -d link show | tr -d '\\\\'",
    routes: "ip route show table all; ip -6 route show table all; ip rule; ip -6 rule; ip fou show 2>/dev/null",
    // Asking ipvsadm would load the module.
    ipvs: "[ ! -e /proc/net/ip_vs ] || { ipvsadm -Sn | sort; ipvsadm -l --timeout; ipvsadm -l --daemon; }",
    nft: "nft list ruleset",
    files: [
        "find /etc /var -path /var/log -prune -o -printf '%p %y %m %u:%g %l\\n' | sort",
        "find /etc -type f -exec md5sum {} + | sort -k 2",
    ].join("; "),
    sysctls:
        "sysctl -a 2>/dev/null | grep '^net\\.' | grep -v -e '^net\\.netfilter\\.nf_conntrack_count ' -e '^net\\.ipv4\\.tcp_fastopen_key ' | sort",
};

const MARK = "=== ";

/** Of every host, by name. */
export async function snapshots(lab: Lab): Promise<Record<string, Snapshot>> {
    const script = Object.entries(sections)
        .map(([name, command]) => `echo '${MARK}${name}'; ${command}`)
        .join("\n");
    const all = await Promise.all(
        Object.keys(lab.hosts).map(
            async (host): Promise<[string, Snapshot]> => [host, parse(await lab.sh(host, script))],
        ),
    );
    return Object.fromEntries(all);
}

function parse(text: string): Snapshot {
    const snapshot = { ...sections } as unknown as Record<keyof Snapshot, string[]>;
    for (const part of text.split(MARK).slice(1)) {
        const [name, ...lines] = part.split("\n");
        snapshot[name as keyof Snapshot] = lines.filter((line) => line !== "");
    }
    return snapshot;
}

/** Devices that come into being in every network namespace when a tunnel module is loaded. */
const FALLBACK = /(?:^|[ ./:])(?:tunl0|gre0|gretap0|erspan0|sit0|ip6tnl0|ip6gre0|ip_vti0|ip6_vti0)(?:$|[ ./:@])/;

/** Settings that come into being with a module. */
const OF_MODULES = /^net\.(?:ipv4\.vs\.|netfilter\.|nf_conntrack_max\b|sctp\.)/;

/**
 * The two for a comparison: modules stay loaded after a release, so what they bring with them is left out of the later
 * one where it was not there before.
 */
export function comparable(
    before: Record<string, Snapshot>,
    after: Record<string, Snapshot>,
): [Record<string, Snapshot>, Record<string, Snapshot>] {
    const later = Object.entries(after).map(([host, snapshot]): [string, Snapshot] => {
        const earlier = before[host];
        const known = new Set(earlier?.sysctls.map(keyOf));
        const kept = Object.entries(snapshot).map(([name, lines]: [string, string[]]) => [
            name,
            lines.filter((line) => !FALLBACK.test(line) || earlier?.[name as keyof Snapshot].includes(line)),
        ]);
        const whole = Object.fromEntries(kept) as Snapshot;
        return [
            host,
            {
                ...whole,
                ipvs: earlier?.ipvs.length === 0 ? withoutDefaults(whole.ipvs) : whole.ipvs,
                sysctls: whole.sysctls.filter((line) => known.has(keyOf(line)) || !OF_MODULES.test(line)),
            },
        ];
    });
    return [before, Object.fromEntries(later)];
}

function keyOf(line: string): string {
    return line.slice(0, line.indexOf(" ="));
}

/** The kernel's own time limits, shown once the module is there. */
function withoutDefaults(lines: string[]): string[] {
    return lines.filter((line) => line !== "Timeout (tcp tcpfin udp): 900 120 300");
}

/** Hosts for the checks, as the probe of a Debian 12 shows them; a test changes single lines. */
import { type HostState, parseState } from "../../../provider/reconcile/state";

type Sections = Record<string, string>;

const facts = `
machine=1 2
release=6.1.0-56-amd64
uid=0
os=Debian GNU/Linux 12 (bookworm)
systemd=running
${["ipvsadm", "ip", "nft", "flock", "timeout", "arping", "systemctl", "modprobe"].map((tool) => `tool.${tool}=/sbin/${tool}`).join("\n")}
ssh=10.0.2.10 22
`;

const modules =
    "ip_vs\nip_vs_wlc\nip_vs_rr\nip_vs_sh\nip_vs_mh\nip_vs_ftp\nip_vs_pe_sip\nnf_tables\nnf_conntrack\nipip\nip_gre\nfou\nfou6\nip6_tunnel\nsit\n";

const sysctl = (values: Record<string, string>) =>
    Object.entries(values)
        .map(([key, value]) => `${key.replaceAll(".", "/")}:${value}`)
        .join("\n");

const directorSettings = {
    "net.ipv4.ip_forward": "0",
    "net.ipv6.conf.all.forwarding": "0",
    "net.ipv4.vs.conntrack": "0",
    "net.ipv4.vs.conn_reuse_mode": "1",
    "net.ipv4.vs.expire_nodest_conn": "0",
    "net.ipv4.vs.expire_quiescent_template": "0",
    "net.ipv4.vs.backup_only": "0",
    "net.ipv4.vs.pmtu_disc": "1",
    "net.ipv4.conf.all.rp_filter": "1",
    "net.ipv4.conf.eth1.rp_filter": "1",
};

/** A director: eth0 is where it is managed, eth1 has clients, VIPs and the segment of real servers. */
export function director(changes: Sections = {}, settings: Record<string, string> = {}): HostState {
    return host(
        {
            address: addresses("eth0 10.0.2.10/24", "eth1 192.0.2.10/24", "eth1 2001:db8::10/64"),
            route: "default via 192.0.2.1 dev eth1\n192.0.2.0/24 dev eth1 proto kernel scope link src 192.0.2.10\n10.0.2.0/24 dev eth0 scope link\n",
            route6: "2001:db8::/64 dev eth1 proto kernel\ndefault via fe80::1 dev eth1\n",
            parameters: "ip_vs.conn_tab_bits 12\n",
        },
        { ...directorSettings, ...settings },
        changes,
    );
}

/** A real server: eth0 is where it is managed, eth1 is the segment. */
export function server(changes: Sections = {}, settings: Record<string, string> = {}): HostState {
    return host(
        {
            address: addresses("eth0 10.0.2.21/24", "eth1 192.0.2.21/24", "eth1 2001:db8::21/64"),
            route: "default via 192.0.2.1 dev eth1\n192.0.2.0/24 dev eth1 scope link\n10.0.2.0/24 dev eth0 scope link\n",
            route6: "2001:db8::/64 dev eth1 proto kernel\ndefault via fe80::1 dev eth1\n",
        },
        { "net.ipv4.conf.all.rp_filter": "1", "net.ipv4.conf.eth1.rp_filter": "1", ...settings },
        changes,
    );
}

/** Lines of `ip -o addr`: "eth1 192.0.2.10/24", "eth1 2001:db8::100/128 deprecated". */
export function addresses(...list: string[]): string {
    return list
        .map((each, index) => {
            const [device, address, flags = ""] = each.split(" ");
            return `${index + 1}: ${device}    ${address!.includes(":") ? "inet6" : "inet"} ${address} scope global ${flags} ${device}\\       valid_lft forever`;
        })
        .join("\n");
}

/** The listings of a table: services as `-Sn` prints them, thresholds are none. */
export function table(...lines: string[]): Sections {
    const heads: string[] = [];
    for (const line of lines) {
        const [verb, flag = "", name = "", ...rest] = line.split(" ");
        if (verb === "-A") {
            const kind = { "-t": "TCP ", "-u": "UDP ", "-f": "FWM " }[flag]!;
            const v6 = rest.includes("-6") ? " IPv6" : "";
            heads.push(`${kind} ${name}${v6} ${rest[rest.indexOf("-s") + 1]}`);
        } else heads.push(`  -> ${rest[rest.indexOf("-r") + 1]!.padEnd(28)} 0          0          0          0`);
    }
    const header =
        "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn\n  -> RemoteAddress:Port\n";
    return { "ipvs.save": `${lines.join("\n")}\n`, "ipvs.thresholds": `${header}${heads.join("\n")}\n` };
}

function host(base: Sections, settings: Record<string, string>, changes: Sections): HostState {
    const mtu = "eth0 1500\neth1 1500\nlo 65536\n";
    return parseState({ facts, modules, mtu, sysctl: sysctl(settings), ...base, ...changes }, "0");
}

/** The facts with a line added, or one of the same name replaced. */
export function factsWith(...more: string[]): Sections {
    const names = more.map((line) => line.split("=")[0]);
    const kept = facts.split("\n").filter((line) => !names.includes(line.split("=")[0]!));
    return { facts: [...kept, ...more.filter((line) => !line.endsWith("="))].join("\n") };
}

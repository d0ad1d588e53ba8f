/** A director as a probe shows it: what is on it beside its table is what a test says. */

import { restoreLine } from "../../../provider/ipvs/render";
import { engines, schedulers } from "../../../provider/ipvs/schedulers";
import type { HostState } from "../../../provider/reconcile/state";
import { parseState } from "../../../provider/reconcile/state";
import { ModelOfIpvsadm } from "../ipvs/model-of-ipvsadm";

export interface Sections {
    /** `ip -o addr show`, by device: `eth0 192.0.2.10/24`; what follows stands at the end of the line. */
    addresses?: string[];
    /** `ip -d -o link show` of tunnels and dummy devices. */
    link?: string;
    sysctls?: Record<string, string>;
    facts?: string[];
    parameters?: string[];
    timeouts?: string;
    daemons?: string;
    /** Ledger files by name. */
    ledger?: Record<string, string>;
}

const FACTS = [
    ...["machine=m1 u1", "release=6.1.0", "uid=0", "now=1000", "os=Debian GNU/Linux 12 (bookworm)"],
    ...["ipvsadm", "ip", "nft", "modprobe", "systemctl", "arping"].map((tool) => `tool.${tool}=yes`),
];

/** @param table commands of ipvsadm, one a line; a text as it is printed by -S */
export function directorOf(table: string | readonly (readonly string[])[], more: Sections = {}): HostState {
    const ipvsadm = new ModelOfIpvsadm();
    ipvsadm.restore(typeof table === "string" ? table : table.map(restoreLine).join("\n"));
    const sysctls = { "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", ...more.sysctls };
    const modules = [
        "ip_vs",
        "dummy",
        ...schedulers.map(({ module }) => module),
        ...engines.map(({ module }) => module),
    ];
    return parseState(
        {
            facts: [...FACTS, ...(more.facts ?? [])].join("\n"),
            modules: modules.join("\n"),
            sysctl: Object.entries(sysctls)
                .map(([path, value]) => `${path}:${value}`)
                .join("\n"),
            link: more.link ?? "",
            address: (more.addresses ?? ["eth0 192.0.2.10/24"])
                .map((line, index) => {
                    const [device = "", address = "", flags = ""] = line.split(" ");
                    const family = address.includes(":") ? "inet6" : "inet";
                    return `${index + 2}: ${device}    ${family} ${address} scope global ${flags} ${device}\\       valid_lft forever`;
                })
                .join("\n"),
            parameters: (more.parameters ?? ["ip_vs.conn_tab_bits 12"]).join("\n"),
            "ipvs.save": ipvsadm.save(),
            "ipvs.thresholds": ipvsadm.thresholds(),
            "ipvs.timeouts": more.timeouts ?? "Timeout (tcp tcpfin udp): 900 120 300",
            "ipvs.daemons": more.daemons ?? "",
            ledger: Object.entries(more.ledger ?? {})
                .flatMap(([name, text]) =>
                    text
                        .trimEnd()
                        .split("\n")
                        .map((line) => `${name}:${line}`),
                )
                .join("\n"),
            ledgerdir: more.ledger === undefined ? "" : "there",
        },
        "1 1",
    );
}

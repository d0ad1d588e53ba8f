import { type Action, type Kind, ranks } from "./kind";
import { lines } from "./probe";

/** The one nftables table of ours; nothing else of the host's packet filter is ever written. */
export const TABLE = "inet pulumi_lvs";

/**
 * The frame that marks and masquerading hang in. Rules never change: what is declared are the elements of its maps and
 * sets, which are added and removed by key. ip_vs marks are set at priority mangle (-150), before IPVS sees the packet.
 */
const FRAME = `
add table ${TABLE}
add map ${TABLE} marks4 { type ipv4_addr . inet_proto . inet_service : mark; }
add map ${TABLE} marks6 { type ipv6_addr . inet_proto . inet_service : mark; }
add map ${TABLE} anyport4 { type ipv4_addr . inet_proto : mark; }
add map ${TABLE} anyport6 { type ipv6_addr . inet_proto : mark; }
add set ${TABLE} masquerade4 { type ipv4_addr . ipv4_addr; flags interval; }
add set ${TABLE} masquerade6 { type ipv6_addr . ipv6_addr; flags interval; }
add chain ${TABLE} mark { type filter hook prerouting priority mangle; policy accept; }
flush chain ${TABLE} mark
add rule ${TABLE} mark meta l4proto { tcp, udp, sctp } meta mark set ip daddr . meta l4proto map @anyport4
add rule ${TABLE} mark meta l4proto { tcp, udp, sctp } meta mark set ip6 daddr . meta l4proto map @anyport6
add rule ${TABLE} mark meta l4proto { tcp, udp, sctp } meta mark set ip daddr . meta l4proto . th dport map @marks4
add rule ${TABLE} mark meta l4proto { tcp, udp, sctp } meta mark set ip6 daddr . meta l4proto . th dport map @marks6
add chain ${TABLE} masquerade { type nat hook postrouting priority srcnat; policy accept; }
flush chain ${TABLE} masquerade
add rule ${TABLE} masquerade ip saddr . ip daddr @masquerade4 masquerade
add rule ${TABLE} masquerade ip6 saddr . ip6 daddr @masquerade6 masquerade
`
    .trim()
    .replaceAll("\n", "; ");

const RULES_OF_FRAME = 6;

/** The table itself: there as long as one resource claims something in it. */
export const tableKind: Kind<string> = {
    name: "table",
    nature: "thing",
    rank: () => ranks.table,
    read: (probe) => {
        const text = probe.section("nft");
        if (!/^table inet pulumi_lvs \{/m.test(text)) return new Map();
        const rules = lines(probe, "nft").filter((line) => /@(marks|anyport|masquerade)[46]/.test(line)).length;
        return new Map([[TABLE, rules === RULES_OF_FRAME ? "1" : `${rules} of ${RULES_OF_FRAME} rules`]]);
    },
    set: () => [{ run: ["nft", FRAME] }],
    unset: () => [{ run: ["nft", `delete table ${TABLE}`] }],
    describe: () => `nftables table ${TABLE}`,
};

/** A firewall mark for what arrives at an address, keyed `ipv4/tcp/192.0.2.100/80`; port 0: every port. */
export const markKind: Kind<number> = {
    name: "mark",
    nature: "rule",
    rank: () => ranks.rule,
    read: (probe) =>
        new Map(
            elements(probe.section("nft"), /^(marks|anyport)[46]$/).flatMap(({ name, element }): [string, number][] => {
                const [place = "", mark = ""] = element.split(/ : /);
                const [address = "", protocol = "", port = "0"] = place.split(" . ");
                const family = name.endsWith("6") ? "ipv6" : "ipv4";
                return [[`${family}/${protocolName(protocol)}/${address}/${port}`, Number(mark)]];
            }),
        ),
    set: (key, want, have) => {
        const { map, place } = parseMarkKey(key);
        const remove = have === undefined ? "" : `delete element ${TABLE} ${map} { ${place} }; `;
        return [{ run: ["nft", `${remove}add element ${TABLE} ${map} { ${place} : ${want} }`] }];
    },
    unset: (key) => {
        const { map, place } = parseMarkKey(key);
        return [{ run: ["nft", `delete element ${TABLE} ${map} { ${place} }`] }];
    },
    describe: (key) => `firewall mark on ${key}`,
};

/** The key of a mark rule. */
export function markKey(protocol: string, address: string, port: number): string {
    return `${address.includes(":") ? "ipv6" : "ipv4"}/${protocol}/${address}/${port}`;
}

function parseMarkKey(key: string): { map: string; place: string } {
    const [family, protocol, address, port] = key.split("/");
    const digit = family === "ipv6" ? "6" : "4";
    return port === "0"
        ? { map: `anyport${digit}`, place: `${address} . ${protocol}` }
        : { map: `marks${digit}`, place: `${address} . ${protocol} . ${port}` };
}

/** Masquerading of what goes from a network to a network, keyed `10.0.0.0/8 0.0.0.0/0`. */
export const masqueradeKind: Kind<true> = {
    name: "masquerade",
    nature: "rule",
    rank: () => ranks.rule,
    read: (probe) =>
        new Map(
            elements(probe.section("nft"), /^masquerade[46]$/).map(({ name, element }): [string, true] => {
                const [source = "", destination = ""] = element.split(" . ");
                return [`${prefixed(source, name)} ${prefixed(destination, name)}`, true];
            }),
        ),
    set: (key) => [element("add", key)],
    unset: (key) => [element("delete", key)],
    describe: (key) => `masquerade ${key.replace(" ", " to ")}`,
};

function element(verb: string, key: string): Action {
    const [source = "", destination = ""] = key.split(" ");
    const set = source.includes(":") ? "masquerade6" : "masquerade4";
    return { run: ["nft", `${verb} element ${TABLE} ${set} { ${source} . ${destination} }`] };
}

/** nft prints the network that holds everything, and single hosts, in its own ways. */
function prefixed(text: string, set: string): string {
    if (text.includes("/")) return text;
    const bits = set.endsWith("6") ? 128 : 32;
    const range = /^(\S+)-(\S+)$/.exec(text);
    if (range !== null) return /^(0\.0\.0\.0|::)$/.test(range[1] ?? "") ? `${range[1]}/0` : text;
    return `${text}/${bits}`;
}

/** The numbers that `nft -n` prints, and the names that it prints without. */
function protocolName(text: string): string {
    return { "6": "tcp", "17": "udp", "132": "sctp" }[text] ?? text;
}

/** The elements of the maps and sets whose name matches, as `nft -n list table` prints them. */
function elements(text: string, name: RegExp): { name: string; element: string }[] {
    return [...text.matchAll(/^\t(?:map|set) (\S+) \{(.*?)^\t\}/gms)].flatMap(([, each = "", body = ""]) => {
        const list = name.test(each) ? /elements = \{(.*?)\}/s.exec(body)?.[1] : undefined;
        return (list ?? "")
            .split(",")
            .map((element) => element.trim().replace(/\s+/g, " "))
            .filter((element) => element !== "")
            .map((element) => ({ name: each, element }));
    });
}

import { type Kind, ranks } from "./kind";
import { lines } from "./probe";

/** The one nftables table of ours; nothing else of the host's packet filter is ever written. */
export const TABLE = "inet pulumi_lvs";

/**
 * The frame that marks and masquerading hang in. Marks are elements of its maps, added and removed by key; its own rules
 * never change. They are set at priority mangle (-150), before IPVS sees the packet. Masquerading is a rule each, named
 * by its comment: networks may overlap, which elements of one set may not.
 */
const FRAME = `
add table ${TABLE}
add map ${TABLE} marks4 { type ipv4_addr . inet_proto . inet_service : mark; }
add map ${TABLE} marks6 { type ipv6_addr . inet_proto . inet_service : mark; }
add map ${TABLE} anyport4 { type ipv4_addr . inet_proto : mark; }
add map ${TABLE} anyport6 { type ipv6_addr . inet_proto : mark; }
add chain ${TABLE} prerouting_mark { type filter hook prerouting priority mangle; policy accept; }
flush chain ${TABLE} prerouting_mark
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip daddr . meta l4proto map @anyport4
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip6 daddr . meta l4proto map @anyport6
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip daddr . meta l4proto . th dport map @marks4
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip6 daddr . meta l4proto . th dport map @marks6
add chain ${TABLE} postrouting_masquerade { type nat hook postrouting priority srcnat; policy accept; }
`
    .trim()
    .replaceAll("\n", "; ");

const RULES_OF_FRAME = 4;

/** The table itself: there as long as one resource claims something in it. */
export const tableKind: Kind<string> = {
    name: "table",
    group: "nft",
    nature: "thing",
    ours: true,
    tool: "nft",
    rank: () => ranks.table,
    read: (probe) => {
        const text = probe.section("nft");
        if (!/^table inet pulumi_lvs \{/m.test(text)) return new Map();
        const rules = lines(probe, "nft").filter((line) => /@(marks|anyport)[46]/.test(line)).length;
        return new Map([[TABLE, rules === RULES_OF_FRAME ? "1" : `${rules} of ${RULES_OF_FRAME} rules`]]);
    },
    set: () => [{ run: ["nft", FRAME] }],
    unset: () => [{ run: ["nft", `delete table ${TABLE}`] }],
    describe: () => `nftables table ${TABLE}`,
};

/** A firewall mark for what arrives at an address, keyed `ipv4/tcp/192.0.2.100/80`; port 0: every port. */
export const markKind: Kind<number> = {
    name: "mark",
    group: "nft",
    nature: "rule",
    tool: "nft",
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
    group: "nft",
    nature: "rule",
    tool: "nft",
    rank: () => ranks.rule,
    read: (probe) =>
        new Map(
            lines(probe, "nft").flatMap((line): [string, true][] => {
                const key = /\smasquerade comment "([^"]+)"/.exec(line)?.[1];
                return key === undefined ? [] : [[key, true]];
            }),
        ),
    set: (key) => {
        const [source = "", destination = ""] = key.split(" ");
        const ip = source.includes(":") ? "ip6" : "ip";
        const match = [`${ip} saddr ${source}`, ...(isEverything(destination) ? [] : [`${ip} daddr ${destination}`])];
        return [{ run: ["nft", `add rule ${CHAIN} ${match.join(" ")} masquerade comment "${key}"`] }];
    },
    unset: (key) => [{ script: REMOVE_RULE, words: [key] }],
    // The unit runs again when the network or the packet filter is reloaded, and not every reload takes rules away.
    boot: (key, want) => [
        {
            script: ADD_ONCE,
            words: [
                key,
                ...masqueradeKind.set(key, want, undefined).flatMap((action) => ("run" in action ? action.run : [])),
            ],
        },
    ],
    describe: (key) => `masquerade ${key.replace(" ", " to ")}`,
};

/** The key of the masquerading of what goes from `source` to `destination`, by default to anywhere. */
export function masqueradeKey({ source, destination }: { source: string; destination?: string | undefined }): string {
    return `${source} ${destination ?? (source.includes(":") ? "::/0" : "0.0.0.0/0")}`;
}

const CHAIN = `${TABLE} postrouting_masquerade`;

const ADD_ONCE = `
case $(nft list chain ${CHAIN} 2>/dev/null) in *"comment \\"$1\\""*) exit 0 ;; esac
shift; exec "$@"`.trim();

const REMOVE_RULE = `
for h in $(nft -a list chain ${CHAIN} | sed -n "s|.* comment \\"$1\\" # handle \\([0-9]*\\)$|\\1|p"); do
    nft delete rule ${CHAIN} handle "$h" || exit 1
done`.trim();

function isEverything(network: string): boolean {
    return network === "0.0.0.0/0" || network === "::/0";
}

/** The numbers that `nft -n` prints, and the names that it prints without. */
function protocolName(text: string): string {
    return { "6": "tcp", "17": "udp", "132": "sctp" }[text] ?? text;
}

/** The elements of the maps and sets whose name matches, as `nft -n list table` prints them. */
function elements(text: string, name: RegExp): { name: string; element: string }[] {
    // Block by block and not by one pattern: what a host sends must not cost more than its length.
    return text.split(/^\t(?=map|set|chain)/m).flatMap((block) => {
        const each = /^(?:map|set) (\S+) \{/.exec(block)?.[1] ?? "";
        const from = block.indexOf("elements = {");
        const to = from < 0 ? -1 : block.indexOf("}", from);
        if (!name.test(each) || to < 0) return [];
        return block
            .slice(from + "elements = {".length, to)
            .split(",")
            .map((element) => element.trim().replace(/\s+/g, " "))
            .filter((element) => element !== "")
            .map((element) => ({ name: each, element }));
    });
}

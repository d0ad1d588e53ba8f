import { type Dialect, numberOf, parseMasqueradeKey, parseTrafficKey, protocolName, type Words } from "./dialect";
import type { Action } from "./kind";
import { lines } from "./probe";

/** The one nftables table of ours; nothing else of the host's packet filter is ever written. */
export const TABLE = "inet pulumi_lvs";

/**
 * The frame that marks hang in. They are elements of its maps, added and removed by key; its own rules never change.
 * They are set at priority mangle (-150), before IPVS sees the packet.
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
`
    .trim()
    .replaceAll("\n", "; ");

const RULES_OF_FRAME = 4;

const table: Words<string> = {
    read: (probe) => {
        const text = probe.section("nft");
        if (!/^table inet pulumi_lvs \{/m.test(text)) return [];
        const rules = lines(probe, "nft").filter((line) => /@(marks|anyport)[46]/.test(line)).length;
        return [[TABLE, rules === RULES_OF_FRAME ? "1" : `${rules} of ${RULES_OF_FRAME} rules`]];
    },
    set: () => [{ run: ["nft", FRAME] }],
    unset: () => [{ run: ["nft", `delete table ${TABLE}`] }],
};

const mark: Words<number> = {
    read: (probe) =>
        elements(probe.section("nft"), /^(marks|anyport)[46]$/).map(({ name, element }): [string, number] => {
            const [place = "", value = ""] = element.split(/ : /);
            const [address = "", protocol = "", port = "0"] = place.split(" . ");
            const family = name.endsWith("6") ? "ipv6" : "ipv4";
            return [`${family}/${protocolName(protocol)}/${address}/${port}`, Number(value)];
        }),
    set: (key, want, have) => {
        const { map, place } = elementOf(key);
        const remove = have === undefined ? "" : `delete element ${TABLE} ${map} { ${place} }; `;
        return [{ run: ["nft", `${remove}add element ${TABLE} ${map} { ${place} : ${want} }`] }];
    },
    unset: (key) => {
        const { map, place } = elementOf(key);
        return [{ run: ["nft", `delete element ${TABLE} ${map} { ${place} }`] }];
    },
};

function elementOf(key: string): { map: string; place: string } {
    const { family, protocol, address, port } = parseTrafficKey(key);
    const digit = family === "ipv6" ? "6" : "4";
    return port === 0
        ? { map: `anyport${digit}`, place: `${address} . ${protocol}` }
        : { map: `marks${digit}`, place: `${address} . ${protocol} . ${port}` };
}

const ip = (address: string) => (address.includes(":") ? "ip6" : "ip");

const masquerade = namedRules<true>({
    chain: "postrouting_masquerade",
    hook: "type nat hook postrouting priority srcnat",
    says: (key) => {
        const { source, destination } = parseMasqueradeKey(key);
        const to = destination === undefined ? "" : ` ${ip(source)} daddr ${destination}`;
        return `${ip(source)} saddr ${source}${to} masquerade`;
    },
    hears: (rule) => (rule.endsWith(" masquerade") ? true : undefined),
});

/** Behind source NAT, where the answers of a redirected service have got the VIP back. */
const mss = namedRules<number>({
    chain: "postrouting_mss",
    hook: "type filter hook postrouting priority srcnat + 10",
    says: (key, size) => {
        const { address, port } = parseTrafficKey(key);
        const from = port === 0 ? "" : ` tcp sport ${port}`;
        return `${ip(address)} saddr ${address}${from} tcp flags & (syn|rst) == syn tcp option maxseg size set ${size}`;
    },
    hears: (rule) => numberOf(/ tcp option maxseg size set (\d+)$/.exec(rule)?.[1]),
});

const redirect = namedRules<string>({
    chain: "prerouting_redirect",
    hook: "type nat hook prerouting priority dstnat",
    says: (key, to) => {
        const { protocol, address, port } = parseTrafficKey(key);
        const what = port === 0 ? `meta l4proto ${protocol}` : `${protocol} dport ${port}`;
        return `${ip(address)} daddr ${address} ${what} dnat ${ip(address)} to ${to}`;
    },
    hears: (rule) => / dnat ip6? to (\S+)$/.exec(rule)?.[1],
});

/** `nft` as the program of our rules. */
export const nftables: Dialect = {
    tool: "nft",
    prefix: "",
    frame: TABLE,
    answersFrom: "vip",
    table,
    mark,
    masquerade,
    mss,
    redirect,
};

/** Rules that are each named by their comment, which is the key, in a chain that the first of them brings. */
function namedRules<V>({ chain, hook, says, hears }: NamedRules<V>): Words<V> {
    const named = /^(.*) comment "([^"]+)"$/;
    const add = (key: string, want: V): string[] => [
        "nft",
        `add chain ${TABLE} ${chain} { ${hook}; policy accept; }; add rule ${TABLE} ${chain} ${says(key, want)} comment "${key}"`,
    ];
    const remove = (key: string): Action => ({ script: REMOVE_RULE, words: [chain, key] });
    return {
        read: (probe) =>
            chainOf(probe.section("nft"), chain).flatMap((line): [string, V][] => {
                const [, rule = "", key = ""] = named.exec(line) ?? [];
                const value = hears(rule);
                return value === undefined ? [] : [[key, value]];
            }),
        set: (key, want, have) => [...(have === undefined ? [] : [remove(key)]), { run: add(key, want) }],
        unset: (key) => [remove(key)],
        // The unit runs again when the network or the packet filter is reloaded, and not every reload takes rules away.
        boot: (key, want) => [{ script: ADD_ONCE, words: [chain, key, ...add(key, want)] }],
    };
}

interface NamedRules<V> {
    chain: string;
    /** Where the chain hangs, without its policy. */
    hook: string;
    /** The rule's text. */
    says(key: string, want: V): string;
    /** Its value out of the text as `nft -n` prints it. */
    hears(rule: string): V | undefined;
}

const ADD_ONCE = `
case $(nft list chain ${TABLE} "$1" 2>/dev/null) in *"comment \\"$2\\""*) exit 0 ;; esac
shift 2; exec "$@"`.trim();

const REMOVE_RULE = `
for h in $(nft -a list chain ${TABLE} "$1" | sed -n "s|.* comment \\"$2\\" # handle \\([0-9]*\\)$|\\1|p"); do
    nft delete rule ${TABLE} "$1" handle "$h" || exit 1
done`.trim();

/** The lines of one chain. */
function chainOf(text: string, name: string): string[] {
    const block = text.split(/^\t(?=map|set|chain)/m).find((each) => each.startsWith(`chain ${name} {`));
    return (block ?? "").split("\n").map((line) => line.trim());
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

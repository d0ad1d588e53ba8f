import { networkOf } from "../ipvs/address";
import {
    type Dialect,
    type Edited,
    numberOf,
    parseMasqueradeKey,
    parseTrafficKey,
    protocolName,
    type Words,
} from "./dialect";
import type { Action } from "./kind";

/** The one nftables table of ours; nothing else of the host's packet filter is ever written. */
export const TABLE = "inet pulumi_lvs";

/** Our chains: where each hangs, without its policy. All but the first come with the first rule in them. */
const hooks = {
    prerouting_mark: "type filter hook prerouting priority mangle",
    /** Behind the maps: a range counts before what marks every port. */
    prerouting_mark_ranges: "type filter hook prerouting priority mangle + 1",
    postrouting_masquerade: "type nat hook postrouting priority srcnat",
    /** Behind source NAT, where the answers of a redirected service have got the VIP back. */
    postrouting_mss: "type filter hook postrouting priority srcnat + 10",
    prerouting_redirect: "type nat hook prerouting priority dstnat",
} as const;

type Chain = keyof typeof hooks;

/** Makes a chain, and sets the policy of one that is there. */
const addChain = (chain: Chain) => `add chain ${TABLE} ${chain} { ${hooks[chain]}; policy accept; }`;

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
${addChain("prerouting_mark")}
flush chain ${TABLE} prerouting_mark
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip daddr . meta l4proto map @anyport4
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip6 daddr . meta l4proto map @anyport6
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip daddr . meta l4proto . th dport map @marks4
add rule ${TABLE} prerouting_mark meta l4proto { tcp, udp, sctp } meta mark set ip6 daddr . meta l4proto . th dport map @marks6
`
    .trim()
    .replaceAll("\n", "; ");

const RULES_OF_FRAME = FRAME.split("; ").flatMap((line) => / prerouting_mark (meta .*)$/.exec(line)?.[1] ?? []);

const table: Words<string> = {
    read: (probe) => {
        const text = probe.section("nft");
        if (!/^table inet pulumi_lvs \{/m.test(text)) return [];
        const rules = chainOf(text, "prerouting_mark").filter((line) => !/^(chain .*|type .*|\}|)$/.test(line));
        const right = RULES_OF_FRAME.filter((rule) => rules.some((each) => plain(each) === plain(rule))).length;
        const wrong = [
            ...(right === RULES_OF_FRAME.length ? [] : [`${right} of ${RULES_OF_FRAME.length} rules`]),
            ...(rules.length > right ? [`${rules.length - right} other rules`] : []),
            ...Object.keys(hooks)
                .filter((chain) => chainOf(text, chain).some((line) => /^type .* policy (?!accept;)/.test(line)))
                .map((chain) => `another policy of ${chain}`),
        ];
        return [[TABLE, wrong.join(", ") || "1"]];
    },
    set: (_key, _want, have) => {
        const chains = (Object.keys(hooks) as Chain[]).filter((chain) => have?.includes(`policy of ${chain}`));
        return [{ run: ["nft", [FRAME, ...chains.map(addChain)].join("; ")] }];
    },
    unset: () => [{ run: ["nft", `delete table ${TABLE}`] }],
};

/** What marks one port, or every port. */
const markElement: Words<number> = {
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

/** Maps with ranges need a younger kernel, and the ones of the frame stay as they were. */
const markRange = namedRules<number>({
    chain: "prerouting_mark_ranges",
    says: (key, value) => {
        const { protocol, address, port } = parseTrafficKey(key);
        return `${ip(address)} daddr ${address} ${protocol} dport ${port} meta mark set 0x${value.toString(16).padStart(8, "0")}`;
    },
    hears: (rule) => numberOf(/ meta mark set (0x[0-9a-f]+)$/.exec(rule)?.[1]),
});

const isRange = (key: string) => typeof parseTrafficKey(key).port === "string";

const mark: Words<number | Edited> = {
    read: (probe) => [...markElement.read(probe), ...markRange.read(probe)],
    set: (key, want, have) =>
        isRange(key)
            ? markRange.set(key, want, have)
            : markElement.set(key, want as number, have as number | undefined),
    unset: (key, have) => (isRange(key) ? markRange.unset(key, have) : markElement.unset(key, have as number)),
    boot: (key, want) => (isRange(key) ? markRange.boot!(key, want) : markElement.set(key, want as number, undefined)),
};

function elementOf(key: string): { map: string; place: string } {
    const { family, protocol, address, port } = parseTrafficKey(key);
    const digit = family === "ipv6" ? "6" : "4";
    return port === 0
        ? { map: `anyport${digit}`, place: `${address} . ${protocol}` }
        : { map: `marks${digit}`, place: `${address} . ${protocol} . ${port}` };
}

const ip = (address: string) => (address.includes(":") ? "ip6" : "ip");

const masquerade = namedRules<true | string>({
    chain: "postrouting_masquerade",
    says: (key, to) => {
        const { source, destination } = parseMasqueradeKey(key);
        const towards = destination === undefined ? "" : ` ${ip(source)} daddr ${destination}`;
        return `${ip(source)} saddr ${source}${towards} ${to === true ? "masquerade" : `snat ${ip(source)} to ${to}`}`;
    },
    hears: (rule) => / snat to (\S+)$/.exec(rule)?.[1] ?? true,
});

const mss = namedRules<number>({
    chain: "postrouting_mss",
    says: (key, size) => {
        const { address, port } = parseTrafficKey(key);
        const from = port === 0 ? "" : ` tcp sport ${port}`;
        return `${ip(address)} saddr ${address}${from} tcp flags & (syn|rst) == syn tcp option maxseg size set ${size}`;
    },
    hears: (rule) => numberOf(/ (\d+)$/.exec(rule)?.[1]),
});

const redirect = namedRules<string>({
    chain: "prerouting_redirect",
    says: (key, to) => {
        const { protocol, address, port } = parseTrafficKey(key);
        const what = port === 0 ? `meta l4proto ${protocol}` : `${protocol} dport ${port}`;
        return `${ip(address)} daddr ${address} ${what} dnat ${ip(address)} to ${to}`;
    },
    hears: (rule) => / (\S+)$/.exec(rule)?.[1],
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

/**
 * Rules that are each named by their comment, which is the key, in a chain that the first of them brings. A rule by our
 * name that says anything else differs, is replaced, and could be put back.
 */
function namedRules<V extends true | number | string>({ chain, says, hears }: NamedRules<V>): Words<V | Edited> {
    const named = /^(.*) comment "([^"]+)"$/;
    const text = (key: string, value: V | Edited) => (isEdited(value) ? value.rule : says(key, value));
    const add = (key: string, want: V | Edited): string[] => [
        "nft",
        `${addChain(chain)}; add rule ${TABLE} ${chain} ${text(key, want)} comment "${key}"`,
    ];
    const remove = (key: string): Action => ({ script: REMOVE_RULE, words: [chain, key] });
    return {
        read: (probe) =>
            chainOf(probe.section("nft"), chain)
                .flatMap((line): [string, V | Edited][] => {
                    const [, rule = "", key] = named.exec(line) ?? [];
                    if (key === undefined) return [];
                    const value = hears(plain(rule));
                    const ours = value !== undefined && plain(says(key, value)) === plain(rule);
                    return [[key, ours ? value : { rule: withoutCounters(rule) }]];
                })
                // Of several by one name the last one counts: one that is not ours.
                .sort(([, a], [, b]) => Number(isEdited(a)) - Number(isEdited(b))),
        set: (key, want, have) => [...(have === undefined ? [] : [remove(key)]), { run: add(key, want) }],
        unset: (key) => [remove(key)],
        // The unit runs again when the network or the packet filter is reloaded, and not every reload takes rules away.
        boot: (key, want) => [{ script: ADD_ONCE, words: [chain, key, ...add(key, want)] }],
    };
}

interface NamedRules<V> {
    chain: Chain;
    /** The rule's text. */
    says(key: string, want: V): string;
    /** Its value out of its plain text. */
    hears(rule: string): V | undefined;
}

function isEdited(value: true | number | string | Edited): value is Edited {
    return typeof value === "object";
}

function withoutCounters(rule: string): string {
    return rule.replace(/ packets \d+ bytes \d+/, "");
}

/**
 * A rule in the one spelling that all that nft takes and prints for it comes to: addresses and networks as they are
 * written by us, protocols by name, TCP flags as bits (`0x2 / 0x2,0x4` and `& (0x2 | 0x4) == 0x2` are one).
 */
function plain(rule: string): string {
    return withoutCounters(rule)
        .replace(/ tcp flags (\S{1,60}) \/ (\S{1,60})/, (_, value, mask) => ` tcp flags ${bits(value)}/${bits(mask)}`)
        .replace(
            / tcp flags & \(?([^()=]{1,60}?)\)? == (\S{1,60})/,
            (_, mask, value) => ` tcp flags ${bits(value)}/${bits(mask)}`,
        )
        .replace(/meta l4proto (\{ [^{}]{1,60} \}|\S+)/g, (_, which: string) => `meta l4proto ${protocols(which)}`)
        .replace(/ ([ds]nat) ip6? to /, " $1 to ")
        .split(" ")
        .map((word) => networkOf(word) ?? word)
        .join(" ");
}

const flags: Record<string, number> = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, cwr: 128 };

function bits(text: string): number {
    return text.split(/[|, ]+/).reduce((sum, each) => sum | (flags[each] ?? Number(each)), 0);
}

function protocols(text: string): string {
    return text
        .split(/[{}, ]+/)
        .filter((each) => each !== "")
        .map(protocolName)
        .sort()
        .join(",");
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

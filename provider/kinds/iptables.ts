import { type Dialect, type Edited, numberOf, parseMasqueradeKey, parseTrafficKey, type Words } from "./dialect";
import { matchOf, wordsOf } from "./iptablesRule";
import type { Action } from "./kind";
import { lines, type Probe } from "./probe";

/** A chain of ours, and the one of the kernel's that has a jump to it. */
interface Place {
    table: "mangle" | "nat";
    hook: "PREROUTING" | "POSTROUTING";
    chain: string;
}

/**
 * Our chains; nothing else of the host's packet filter is written but one jump to each, the first rule of its hook, so
 * that no rule before it lets packets pass it by. IPVS takes packets at the input hook, behind all of these.
 */
const places = {
    mark: { table: "mangle", hook: "PREROUTING", chain: "PULUMI-LVS-MARK" },
    mss: { table: "mangle", hook: "POSTROUTING", chain: "PULUMI-LVS-MSS" },
    masquerade: { table: "nat", hook: "POSTROUTING", chain: "PULUMI-LVS-MASQUERADE" },
    redirect: { table: "nat", hook: "PREROUTING", chain: "PULUMI-LVS-REDIRECT" },
} as const satisfies Record<string, Place>;

/** What all names of our chains begin with. */
export const CHAINS = "PULUMI-LVS-";

/** `iptables`, for hosts without nft, whichever of its two backends (legacy or nf_tables) it has. */
export const iptables: Dialect = dialectOf("iptables", "ipv4");
export const ip6tables: Dialect = dialectOf("ip6tables", "ipv6");

function dialectOf(tool: "iptables" | "ip6tables", family: "ipv4" | "ipv6"): Dialect {
    const frame = `${tool} PULUMI-LVS`;
    return {
        tool,
        family,
        prefix: `${tool} `,
        frame,
        // Its mangle table is passed before its nat table gives answers their former address back.
        answersFrom: "own",
        table: frameWords(tool, frame),
        mark: namedRules<number>(tool, {
            place: places.mark,
            says: (key, value) => [...trafficWords(key, "-d", "--dport"), "-j", "MARK", "--set-mark", String(value)],
            hears: (target) => numberOf(/^MARK --set-x?mark (0x[0-9a-f]+)(?:\/0xffffffff)?$/.exec(target)?.[1]),
            // The last one that matches counts: what marks every port comes before what marks one.
            first: (key) => parseTrafficKey(key).port === 0,
        }),
        masquerade: namedRules<true | string>(tool, {
            place: places.masquerade,
            says: (key, to) => {
                const { source, destination } = parseMasqueradeKey(key);
                const target = to === true ? ["MASQUERADE"] : ["SNAT", "--to-source", to];
                return ["-s", source, ...(destination === undefined ? [] : ["-d", destination]), "-j", ...target];
            },
            hears: (target) => (target === "MASQUERADE" ? true : /^SNAT --to-source (\S+)$/.exec(target)?.[1]),
        }),
        mss: namedRules<number>(tool, {
            place: places.mss,
            says: (key, size) => [
                ...trafficWords(key, "-s", "--sport"),
                ...["--tcp-flags", "SYN,RST", "SYN", "-j", "TCPMSS", "--set-mss", String(size)],
            ],
            hears: (target) => numberOf(/^TCPMSS --set-mss (\d+)$/.exec(target)?.[1]),
        }),
        redirect: namedRules<string>(tool, {
            place: places.redirect,
            says: (key, to) => [...trafficWords(key, "-d", "--dport"), "-j", "DNAT", "--to-destination", to],
            hears: (target) => /^DNAT --to-destination (\S+)$/.exec(target)?.[1],
        }),
    };
}

/** The chain for marks, which is always there, and the jumps to all chains that are. */
function frameWords(tool: Dialect["tool"], frame: string): Words<string> {
    const whole = (text: string[], place: Place) =>
        text.includes(`${place.table} :${place.chain}`) && text.includes(jumpOf(place));
    return {
        read: (probe) => {
            const text = listing(probe, tool);
            const there = Object.values(places).filter((place) => isThere(text, place));
            const broken = [...new Set<Place>([places.mark, ...there])].filter((place) => !whole(text, place));
            const value = broken.length === 0 ? "1" : `without ${broken.map(({ chain }) => chain).join(", ")}`;
            return there.length === 0 ? [] : [[frame, value]];
        },
        set: (_key, _want, have) => {
            const missing = Object.values(places).filter(
                (place) => place === places.mark || have?.split(/[ ,]+/).includes(place.chain),
            );
            return missing.map((place) => ({ script: ENSURE, words: [tool, ...placeWords(place)] }));
        },
        remains: (probe) => {
            const text = listing(probe, tool);
            const held = Object.values(places).flatMap((place) => {
                const [jump] = text.filter((line) => isTheirs(line, place));
                return jump === undefined ? [] : [{ ...place, jump: jump.slice(place.table.length + 1) }];
            });
            if (held.length === 0) return undefined;
            const all = held.map(({ table, chain, jump }) => `${chain} of table ${table} ("${jump}")`).join(", ");
            return `${tool}: a rule that is not ours jumps to our chain, which stays there, empty: ${all}; delete that rule, then the chain by \`${tool} -t ${held[0]!.table} -X ${held[0]!.chain}\``;
        },
        unset: () => [{ script: REMOVE_CHAINS, words: [tool, ...Object.values(places).flatMap(placeWords)] }],
    };
}

const jumpOf = ({ table, hook, chain }: Place) => `${table} -A ${hook} -j ${chain}`;

/** A chain that is empty, and that no jump of ours leads to, is one that somebody's own jump kept from going. */
function isThere(text: string[], place: Place): boolean {
    const { table, chain } = place;
    const used = text.includes(jumpOf(place)) || text.some((line) => line.startsWith(`${table} -A ${chain} `));
    return used && text.includes(`${table} :${chain}`);
}

/** Whether a line is somebody's own jump to a chain of ours. */
function isTheirs(line: string, place: Place): boolean {
    const goes = line.startsWith(`${place.table} -A `) && / -[jg] (\S+)$/.exec(line)?.[1] === place.chain;
    return goes && line !== jumpOf(place);
}

interface NamedRules<V> {
    place: Place;
    /** The rule's words. */
    says(key: string, want: V): string[];
    /** Its value out of its target, as it is saved. */
    hears(target: string): V | undefined;
    /** Whether it goes before the others. */
    first?(key: string): boolean;
}

/** Rules that are each named by their comment, which is the key, in a chain that the first of them brings. */
function namedRules<V>(tool: Dialect["tool"], { place, says, hears, first }: NamedRules<V>): Words<V | Edited> {
    const start = `${place.table} -A ${place.chain} `;
    const named = (key: string, want: V) => ["-m", "comment", "--comment", key, ...says(key, want)];
    // What somebody else made of it is put back, too, where a change is taken back.
    const isEdited = (want: V | Edited): want is Edited => want !== null && typeof want === "object";
    // One that is there is replaced where it stands: at boot, too, which may come when the rules were not taken away.
    const set = (key: string, want: V | Edited): Action[] => [
        {
            script: SET_RULE,
            words: [
                ...[tool, ...placeWords(place), key, first?.(key) === true ? "-I" : "-A"],
                ...(isEdited(want) ? wordsOf(want.rule) : named(key, want)),
            ],
        },
    ];
    return {
        read: (probe) =>
            listing(probe, tool).flatMap((line): [string, V | Edited][] => {
                if (!line.startsWith(start)) return [];
                const rule = line.slice(start.length);
                const key = between(rule, '--comment "', '" ');
                if (key === undefined) return [];
                const value = hears(rule.slice(rule.lastIndexOf(" -j ") + " -j ".length));
                const same = value !== undefined && matchOf(wordsOf(rule)) === matchOf(says(key, value));
                return [[key, same ? value : { rule }]];
            }),
        set,
        unset: (key) => [{ script: REMOVE_RULE, words: [tool, ...placeWords(place), key] }],
    };
}

const placeWords = ({ table, hook, chain }: Place) => [table, hook, chain];

/** What arrives at an address, or leaves from it; port 0: every port. */
function trafficWords(key: string, addressed: "-d" | "-s", ported: "--dport" | "--sport"): string[] {
    const { protocol, address, port } = parseTrafficKey(key);
    return [addressed, address, "-p", protocol, ...(port === 0 ? [] : [ported, String(port).replace("-", ":")])];
}

/** Our lines of what `iptables-save` said, each behind its table; chains without their counters. */
function listing(probe: Probe, tool: Dialect["tool"]): string[] {
    let table = "";
    return lines(probe, tool).flatMap((line) => {
        if (line === FAILED) throw new Error(`${tool}-save failed on the host`);
        if (line.startsWith("*")) table = line.slice(1);
        return line.startsWith("*") ? [] : [`${table} ${line.startsWith(":") ? line.split(" ", 1)[0] : line}`];
    });
}

/** A listing that fails is no empty one: the probe's line that says so. */
export const FAILED = "iptables-save failed";

function between(text: string, before: string, after: string): string | undefined {
    const from = text.indexOf(before);
    const to = from < 0 ? -1 : text.indexOf(after, from + before.length);
    return to < 0 ? undefined : text.slice(from + before.length, to);
}

/** A chain with its jump; what the scripts have in common: $p is the program, $t the table, $h its hook, $c the chain. Another's lock is waited for 30 s. */
const ENSURE = `
p=$1 t=$2 h=$3 c=$4
"$p" -w 30 -t "$t" -C "$h" -j "$c" 2>/dev/null || {
    "$p" -w 30 -t "$t" -S "$c" >/dev/null 2>&1 || "$p" -w 30 -t "$t" -N "$c" || exit
    "$p" -w 30 -t "$t" -I "$h" -j "$c" || exit
}`.trim();

/** `numbers`: those of the rules with the comment $k, the last one first. */
const NUMBERS = `
numbers= n=0
while read -r line; do
    case $line in "-A "*) n=$((n + 1)) ;; esac
    case $line in *"--comment \\"$k\\" "*) numbers="$n $numbers" ;; esac
done <<RULES
$("$p" -w 30 -t "$t" -S "$c")
RULES`.trim();

const SET_RULE = `
${ENSURE}
k=$5 how=$6; shift 6
${NUMBERS}
[ -n "$numbers" ] || exec "$p" -w 30 -t "$t" "$how" "$c" "$@"
for n in $numbers; do
    if [ $# = 0 ]; then "$p" -w 30 -t "$t" -D "$c" "$n" || exit; continue; fi
    "$p" -w 30 -t "$t" -R "$c" "$n" "$@" || exit
    set --
done`.trim();

const REMOVE_RULE = `
p=$1 t=$2 c=$4 k=$5
${NUMBERS}
for n in $numbers; do "$p" -w 30 -t "$t" -D "$c" "$n" || exit; done`.trim();

/** Looks at once, and at tables that are in use alone: \`-t nat\` would load that table. A chain that others jump to stays, empty. */
const REMOVE_CHAINS = `
p=$1; shift
there=$("$p-save" 2>/dev/null | grep '^:${CHAINS}')
while [ $# -gt 0 ]; do
    t=$1 h=$2 c=$3; shift 3
    case $there in *":$c "*) ;; *) continue ;; esac
    while "$p" -w 30 -t "$t" -D "$h" -j "$c" 2>/dev/null; do :; done
    "$p" -w 30 -t "$t" -F "$c" || exit
    o=$("$p" -w 30 -t "$t" -X "$c" 2>&1) && continue
    "$p-save" -t "$t" | grep -qE -e " -[jg] $c"'( |$)' || { echo "$o" >&2; exit 1; }
done
:`.trim();

/** Our rules in the host's packet filter, and the frame that they stand in. */
import { type Dialect, type Edited, parseMasqueradeKey, parseTrafficKey, type Traffic, type Words } from "./dialect";
import { ip6tables, iptables } from "./iptables";
import { type Kind, type Objects, type Place, ranks, type Value } from "./kind";
import { nftables } from "./nftables";
import { fact, type Probe } from "./probe";
import type { HostView, Want } from "./want";

/** In the order in which they are chosen. */
const dialects: readonly Dialect[] = [nftables, iptables, ip6tables];

type Sort = "table" | "mark" | "masquerade" | "mss" | "redirect";

/** A sort of rule as a kind: its key says whose it is. */
function filterKind<V extends Value>(
    name: Sort,
    row: Pick<Kind<V>, "nature" | "ours"> & { rank: number; says(key: string): string },
): Kind<V> {
    const { rank, says, ...rest } = row;
    const at = (key: string): { dialect: Dialect; words: Words<V>; key: string } => {
        const dialect = dialects.find(
            ({ prefix, frame }) => key === frame || (prefix !== "" && key.startsWith(prefix)),
        );
        const mine = dialect ?? dialects[0]!;
        const own = key === mine.frame ? key : key.slice(mine.prefix.length);
        return { dialect: mine, words: mine[name] as unknown as Words<V>, key: own };
    };
    return {
        name,
        ...rest,
        group: "filter",
        tool: (key) => at(key).dialect.tool,
        rank: () => rank,
        read: (probe) =>
            new Map(
                dialects.flatMap((dialect) =>
                    (dialect[name] as unknown as Words<V>)
                        .read(probe)
                        .map(([key, value]): [string, V] => [
                            key === dialect.frame ? key : `${dialect.prefix}${key}`,
                            value,
                        ]),
                ),
            ),
        set: (key, want, have) => at(key).words.set(at(key).key, want, have),
        unset: (key, have) => at(key).words.unset(at(key).key, have),
        remains: (key, probe) => at(key).words.remains?.(probe),
        boot: (key, want) => {
            const { words, key: own } = at(key);
            return words.boot?.(own, want) ?? words.set(own, want, undefined);
        },
        describe: (key) => {
            const { dialect, key: own } = at(key);
            return own === dialect.frame || dialect === dialects[0] ? says(own) : `${says(own)} (${dialect.tool})`;
        },
    };
}

/** The frame itself: there as long as one resource claims something in it. */
export const tableKind = filterKind<string>("table", {
    nature: "thing",
    ours: () => true,
    rank: ranks.table,
    says: (key) => `packet filter ${key}`,
});

/** A firewall mark for what arrives at an address, keyed `ipv4/tcp/192.0.2.100/80`; port 0: every port. */
export const markKind = filterKind<number | Edited>("mark", {
    nature: "rule",
    rank: ranks.rule,
    says: (key) => `firewall mark on ${key}`,
});

/** Masquerading of what goes from a network to a network, keyed `10.0.0.0/8 0.0.0.0/0`, or the address that it gets. */
export const masqueradeKind = filterKind<true | string | Edited>("masquerade", {
    nature: "rule",
    rank: ranks.rule,
    says: (key) => `masquerade ${key.replace(/ (?=\S+$)/, " to ")}`,
});

/** The size of TCP segments that clients of a VIP are told to send, keyed `ipv4/tcp/192.0.2.100/80`. Never raised. */
export const mssKind = filterKind<number | Edited>("mss", {
    nature: "thing",
    ours: () => true,
    rank: ranks.rule,
    says: (key) => `TCP segment size for ${key}`,
});

/** The host's own address for what arrives at a VIP that it does not have, keyed `ipv4/tcp/192.0.2.100/80`. */
export const redirectKind = filterKind<string | Edited>("redirect", {
    nature: "thing",
    ours: () => true,
    rank: ranks.rule,
    says: (key) => `redirection of ${key}`,
});

/** Rules of ours with the frames that they need, for the packet filter that a host has; without a view: nft. */
export function filterWants(view: HostView | undefined, rules: Want[]): Want[] {
    const placed = rules.map((rule) => ({ rule, dialect: dialectOf(view, rule) }));
    return [
        ...[...new Set(placed.map(({ dialect }) => dialect.frame))].map(
            (key): Want => ({ kind: "table", key, value: "1" }),
        ),
        ...placed.map(({ rule, dialect }): Want => ({ ...rule, key: `${dialect.prefix}${rule.key}` })),
    ];
}

/** From what address a redirected service's answers come, where the size of their segments is set. */
export function answersFrom(view: HostView | undefined, traffic: string): "vip" | "own" {
    return dialectOf(view, { kind: "redirect", key: traffic }).answersFrom;
}

/**
 * The program for a rule. The one by which it is there already, as long as the host has that program: a host that gets
 * nft later goes on as it is. Else the first of ours that the host has; where it has none, the first, whose absence is
 * then said.
 */
function dialectOf(view: HostView | undefined, { kind, key }: Place): Dialect {
    if (view === undefined) return dialects[0]!;
    const able = dialects.filter(({ tool, family }) => hasTool(view.probe, tool) && speaks(family, key));
    const used = able.find(({ prefix }) => view.objects.get(kind)?.has(`${prefix}${key}`));
    return used ?? able[0] ?? dialects[0]!;
}

/** Whether the host has a packet filter that we know for an address; one that does not say is taken to have it. */
export function hasFilter(probe: Probe, address: string): boolean {
    return (
        fact(probe, "release") === undefined ||
        dialects.some(({ tool, family }) => hasTool(probe, tool) && speaks(family, address))
    );
}

/** Whether a program of this family, or of both, speaks of what an address, a network or a key is about. */
function speaks(family: Dialect["family"], about: string): boolean {
    return family === undefined || family === (about.includes(":") ? "ipv6" : "ipv4");
}

function hasTool(probe: Probe, tool: string): boolean {
    return fact(probe, `tool.${tool}`) !== undefined;
}

/** The keys that a rule may have on a host: one for each packet filter. */
export function ruleKeys(key: string): string[] {
    return dialects.map(({ prefix }) => `${prefix}${key}`);
}

/** The networks that a host masquerades by our rules, whichever packet filter has them. */
export function masqueradesOf({ objects }: HostView): ReturnType<typeof parseMasqueradeKey>[] {
    return [...(objects.get("masquerade")?.keys() ?? [])].map((key) => {
        const dialect = dialects.find(({ prefix }) => prefix !== "" && key.startsWith(prefix));
        return parseMasqueradeKey(key.slice(dialect?.prefix.length ?? 0));
    });
}

/** What a host gives a firewall mark by our rules, whichever packet filter has them. */
export function marksOf({ objects }: HostView): { traffic: Traffic; mark: Value }[] {
    return [...(objects.get("mark") ?? [])].map(([key, mark]) => ({
        traffic: parseTrafficKey(key.slice(key.lastIndexOf(" ") + 1)),
        mark,
    }));
}

/** The value of a rule on a host, whichever packet filter has it. */
export function ruleOn(objects: Objects, kind: Sort, key: string): Value | undefined {
    return ruleKeys(key)
        .map((each) => objects.get(kind)?.get(each))
        .find((each) => each !== undefined);
}

/** Our rules in the host's packet filter, and the frame that they stand in. */
import type { Dialect, Words } from "./dialect";
import { type Kind, ranks, type Value } from "./kind";
import { nftables } from "./nftables";
import { fact, type Probe } from "./probe";
import type { Want } from "./want";

const dialects: readonly Dialect[] = [nftables];

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
        boot: (key, want) => {
            const { words, key: own } = at(key);
            return words.boot?.(own, want) ?? words.set(own, want, undefined);
        },
        describe: says,
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
export const markKind = filterKind<number>("mark", {
    nature: "rule",
    rank: ranks.rule,
    says: (key) => `firewall mark on ${key}`,
});

/** Masquerading of what goes from a network to a network, keyed `10.0.0.0/8 0.0.0.0/0`. */
export const masqueradeKind = filterKind<true>("masquerade", {
    nature: "rule",
    rank: ranks.rule,
    says: (key) => `masquerade ${key.replace(/ (?=\S+$)/, " to ")}`,
});

/** The size of TCP segments that clients of a VIP are told to send, keyed `ipv4/tcp/192.0.2.100/80`. Never raised. */
export const mssKind = filterKind<number>("mss", {
    nature: "thing",
    ours: () => true,
    rank: ranks.rule,
    says: (key) => `TCP segment size for ${key}`,
});

/** The host's own address for what arrives at a VIP that it does not have, keyed `ipv4/tcp/192.0.2.100/80`. */
export const redirectKind = filterKind<string>("redirect", {
    nature: "thing",
    ours: () => true,
    rank: ranks.rule,
    says: (key) => `redirection of ${key}`,
});

/** Rules of ours with the frame that they need, for the packet filter that a host has; without a view: nft. */
export function filterWants(view: { probe: Probe } | undefined, rules: Want[]): Want[] {
    const { prefix, frame } = dialectOf(view);
    if (rules.length === 0) return [];
    return [
        { kind: "table", key: frame, value: "1" },
        ...rules.map((rule): Want => ({ ...rule, key: `${prefix}${rule.key}` })),
    ];
}

/** The first program of ours that the host has; where it has none, the first, whose absence is then said. */
function dialectOf(view: { probe: Probe } | undefined): Dialect {
    return dialects.find(({ tool }) => view !== undefined && hasTool(view.probe, tool)) ?? dialects[0]!;
}

/** Whether the host has a packet filter that we know; one that does not say is taken to have it. */
export function hasFilter(probe: Probe): boolean {
    return fact(probe, "release") === undefined || dialects.some(({ tool }) => hasTool(probe, tool));
}

function hasTool(probe: Probe, tool: string): boolean {
    return fact(probe, `tool.${tool}`) !== undefined;
}

/** The value of a rule on a host, whichever packet filter has it. */
export function ruleOn(
    objects: ReadonlyMap<string, ReadonlyMap<string, Value>>,
    kind: Sort,
    key: string,
): Value | undefined {
    return dialects.map(({ prefix }) => objects.get(kind)?.get(`${prefix}${key}`)).find((each) => each !== undefined);
}

/**
 * What `check` has seen of the program in this process, by resource: two that want one object of one host with different
 * values are found before anything is touched. (It runs twice for a resource that is replaced: the later call counts.)
 */
import { isDeepStrictEqual } from "node:util";
import { kindOf, type Value } from "../kinds";
import { parseAddressKey } from "../kinds/address";
import { parseTrafficKey, portsMeet, takesFrom } from "../kinds/dialect";
import { DEVICE_PREFIX } from "../kinds/kind";
import type { Finding } from "../kinds/want";
import { describeOwner } from "../reconcile/ledger";
import { show } from "../reconcile/plan";
import type { ConnectionReference, Resource } from "../resources/resource";
import { connectionSchema, describeConnection } from "../ssh/connection";

interface Seen {
    host: string;
    kind: string;
    key: string;
    value: Value;
    role: string;
}

const program = new Map<string, Seen[]>();

/** Sync messages that a backup takes: id, group and port. */
function channelOf(value: Value): string {
    const { syncid, group, port } = value as Record<string, Value>;
    return `syncid ${syncid} of ${group} port ${port}`;
}

/**
 * Channels that two pairs of directors use, where each of a pair is master and backup. Directors belong together that have
 * a service in common: what one takes over it has itself. One director alone is not told, its other one may be anywhere.
 */
function sharedChannels(): Set<string> {
    const daemons = new Map<string, Record<"master" | "backup", Set<string>>>();
    const services = new Map<string, Set<string>>();
    for (const { kind, key, host, value } of [...program.values()].flat()) {
        if (kind === "sync") {
            const roles = daemons.get(channelOf(value)) ?? { master: new Set(), backup: new Set() };
            roles[key as "master" | "backup"].add(host);
            daemons.set(channelOf(value), roles);
        } else if (kind === "service") services.set(key, (services.get(key) ?? new Set()).add(host));
    }
    const shared = new Set<string>();
    for (const [channel, { master, backup }] of daemons) {
        const both = [...master].filter((host) => backup.has(host));
        if (both.length < 4) continue;
        let groups = both.map((host) => new Set([host]));
        for (const hosts of services.values()) {
            const together = groups.filter((group) => [...group].some((host) => hosts.has(host)));
            if (together.length < 2) continue;
            const apart = groups.filter((group) => !together.includes(group));
            groups = [...apart, new Set(together.flatMap((group) => [...group]))];
        }
        if (groups.filter(({ size }) => size > 1).length > 1) shared.add(channel);
    }
    return shared;
}

/** Remembers what a resource wants, and says what contradicts others. */
export function contradictions<Inputs extends object>(resource: Resource<Inputs>, inputs: Inputs): Finding[] {
    const owner = String((inputs as Record<string, unknown>)["owner"]);
    const wanted = resource.parts(inputs).flatMap((part) =>
        part.wants(undefined).map(
            ({ kind, key, value }): Seen => ({
                host: machineOf(part.connection),
                kind,
                key,
                value,
                role: part.role,
            }),
        ),
    );
    const before = sharedChannels();
    program.set(owner, wanted);
    const findings: Finding[] = [...sharedChannels()]
        .filter((channel) => !before.has(channel))
        .map((channel) => ({
            code: "LVS-SYNC-ID",
            severity: "warning",
            property: "",
            message: `two pairs of directors use ${channel}: on one segment each takes the connections of the other; give each pair an id of its own`,
        }));
    for (const [other, list] of program) {
        if (other === owner) continue;
        for (const mine of wanted) {
            const row = kindOf(mine.kind);
            for (const theirs of list) {
                if (mine.host === theirs.host && (shadows(mine, theirs) || shadows(theirs, mine))) {
                    const [mark, service] = mine.kind === "mark" ? [mine, theirs] : [theirs, mine];
                    findings.push({
                        code: "LVS-MARK-SHADOWS",
                        severity: "warning",
                        property: "",
                        message: `what arrives for ${service.key} gets the firewall mark ${show(mark.value)}, and IPVS looks for a mark first: the service gets nothing (one of the two is declared by ${describeOwner(other)})`,
                    });
                }
                if (mine.kind !== theirs.kind) continue;
                if (mine.host === theirs.host && mine.key === theirs.key) {
                    if (!isDeepStrictEqual(mine.value, theirs.value)) {
                        findings.push({
                            code: "LVS-CONTRADICTION",
                            severity: "error",
                            property: "",
                            message: `${row.describe(mine.key)} is wanted as ${show(mine.value, mine.kind)} here and as ${show(theirs.value, mine.kind)} by ${describeOwner(other)}`,
                        });
                    } else if (mine.kind === "service" || mine.kind === "destination") {
                        findings.push({
                            code: "LVS-DECLARED-TWICE",
                            severity: "warning",
                            property: "",
                            message: `${row.describe(mine.key)} is declared by ${describeOwner(other)} too`,
                        });
                    }
                } else if (mine.host === theirs.host && markOneTraffic(mine, theirs)) {
                    findings.push({
                        code: "LVS-MARK-TWICE",
                        severity: "error",
                        property: "marks",
                        message: `${mine.key} has the mark ${show(theirs.value)} in part already, by ${describeOwner(other)} (${theirs.key}): a packet has one mark, not ${show(mine.value)} too`,
                    });
                } else if (mine.host !== theirs.host && bothHold(mine, theirs)) {
                    findings.push({
                        code: "LVS-VIP-TWICE",
                        severity: "error",
                        property: "vip",
                        message: `${parseAddressKey(mine.key).address.split("/")[0]} would be on two directors at once, ${describeOwner(other)} puts it there too: set vip.external where keepalived or a router brings it`,
                    });
                } else if (mine.host !== theirs.host && sendAlike(mine, theirs, wanted, list)) {
                    findings.push({
                        code: "LVS-SYNC-ID",
                        severity: "warning",
                        property: "sync.master.syncid",
                        message: `${describeOwner(other)} is a master with this syncid too, and neither is a backup: on one segment a backup of either takes the connections of both; give each pair an id of its own`,
                    });
                }
            }
        }
    }
    return findings;
}

/** A name of `lvs:hosts`, or where a connection leads, however it is written. */
function machineOf(connection: ConnectionReference): string {
    if (typeof connection === "string") return JSON.stringify(connection);
    const { data } = connectionSchema.safeParse(connection);
    return data === undefined ? JSON.stringify(connection) : describeConnection(data);
}

/** Two masters that no backup daemon of theirs makes a pair, whose messages a backup could not tell apart. */
function sendAlike(mine: Seen, theirs: Seen, ...lists: Seen[][]): boolean {
    if (mine.kind !== "sync" || mine.key !== "master" || theirs.key !== "master") return false;
    if (lists.flat().some(({ kind, key }) => kind === "sync" && key === "backup")) return false;
    const [a, b] = [mine.value, theirs.value] as Record<string, Value>[];
    return ["syncid", "group", "port"].every((name) => a![name] === b![name]);
}

/** Two marks for ports of one address that overlap. */
function markOneTraffic(mine: Seen, theirs: Seen): boolean {
    if (mine.kind !== "mark" || isDeepStrictEqual(mine.value, theirs.value)) return false;
    const [a, b] = [parseTrafficKey(mine.key), parseTrafficKey(theirs.key)];
    return a.protocol === b.protocol && a.address === b.address && portsMeet(a.port, b.port);
}

/** A mark and a service whose traffic it takes. */
function shadows(mark: Seen, service: Seen): boolean {
    return mark.kind === "mark" && service.kind === "service" && takesFrom(parseTrafficKey(mark.key), service.key);
}

/** One address on two directors' networks. */
function bothHold(mine: Seen, theirs: Seen): boolean {
    if (mine.kind !== "address" || mine.role !== "director" || theirs.role !== "director") return false;
    const [a, b] = [parseAddressKey(mine.key), parseAddressKey(theirs.key)];
    return (
        a.address === b.address && [a, b].every(({ device }) => device !== "lo" && !device.startsWith(DEVICE_PREFIX))
    );
}

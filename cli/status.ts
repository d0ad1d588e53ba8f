import type { DestinationValue, ServiceValue } from "../provider/ipvs/model";
import { type Counters, parseCounters } from "../provider/ipvs/parse";
import { kindOf, type Value } from "../provider/kinds";
import { tableOf } from "../provider/kinds/ipvs";
import { describeOwner } from "../provider/reconcile/ledger";
import { atRest, satisfied, show } from "../provider/reconcile/plan";
import { type HostState, holders, hostTime, underMaintenance, valueAt } from "../provider/reconcile/state";
import type { Command } from "./command";
import { hostsOf, lookAt, type Values } from "./host";

/** What the kernels hold, beside what the ledgers claim. */
export const status: Command = {
    usage:
        "    lvs status [HOST…] [--stats] [--rate] [--json]\n" +
        "                                                services and real servers: connections, weights, maintenance,\n" +
        "                                                who declared them, and what differs from that",
    async run(targets, values) {
        const hosts = await lookAt(await hostsOf(targets, values), ["ipvs"]);
        const wanted = (["stats", "rate"] as const).filter((name) => values[name] === true);
        const all = await Promise.all(
            hosts.map(async ({ name, host, state, error }): Promise<HostStatus> => {
                try {
                    if (state === undefined) throw error;
                    const counters = wanted.length === 0 ? {} : await host.counters(wanted);
                    return { host: name, services: servicesOf(state, counters) };
                } catch (trouble) {
                    return { host: name, error: (trouble as Error).message };
                }
            }),
        );
        process.stdout.write(print(all, values));
        return all.some(({ error }) => error !== undefined) ? 1 : 0;
    },
};

/** One host's part of `lvs status --json`. */
export type HostStatus =
    | { host: string; services: ServiceStatus[]; error?: undefined }
    /** It could not be looked at. */
    | { host: string; error: string };

/** An object of the kernel, beside its claims. */
interface ObjectStatus<V> {
    /** What the kernel has; null: it is claimed, and not there. */
    kernel: V | null;
    /** Who declared it and as what, the newest first; none: it is nobody's. */
    claims: { owner: string; id: string; file: string; value: V }[];
    /** The attributes in which the kernel differs from what is asked of it. */
    differs: string[];
    stats?: Counters;
    rate?: Counters;
}

export interface ServiceStatus extends ObjectStatus<ServiceValue> {
    service: string;
    realServers: RealServerStatus[];
}

export interface RealServerStatus extends ObjectStatus<DestinationValue> {
    realServer: string;
    active: number;
    inactive: number;
    /** `lvs drain` holds its weight at 0. */
    maintenance: boolean;
    /** Its removal waits for connections to end, at most so many seconds more. */
    draining?: { seconds: number };
}

/** Every service that the kernel has or the ledger claims, with its real servers. `counters`: listings by name. */
export function servicesOf(state: HostState, counters: Record<string, string>): ServiceStatus[] {
    const { connections } = tableOf(state.probe);
    const marks = underMaintenance(state.ledger);
    const counted = (["stats", "rate"] as const).flatMap((name) =>
        counters[name] === undefined ? [] : [[name, parseCounters(`ipvsadm -Ln --${name}`, counters[name])] as const],
    );
    const object = <V>(kind: string, key: string): ObjectStatus<V> => {
        const have = valueAt(state, kind, key);
        const claims = holders(state.ledger, kind, key);
        const newest = claims[0]?.claim.value;
        const asked = kind === "destination" ? atRest(newest, marks.has(key)) : newest;
        return {
            kernel: (have ?? null) as V | null,
            claims: claims.map(({ name, file, claim }) => ({
                owner: file.owner,
                id: file.id,
                file: name,
                value: claim.value as V,
            })),
            differs: differing(kind, key, asked, have),
            ...Object.fromEntries(
                counted.flatMap(([name, list]) => (list.has(key) ? [[name, list.get(key)!] as const] : [])),
            ),
        };
    };
    const keysOf = (kind: string): string[] => {
        const claimed = [...state.ledger.values()].flatMap(({ claims }) => claims.filter((each) => each.kind === kind));
        return [...new Set([...(state.objects.get(kind)?.keys() ?? []), ...claimed.map(({ key }) => key)])];
    };
    const serviceOf = (destination: string) => kindOf("destination").parent!(destination).key;
    const destinations = keysOf("destination");
    const services = new Set([...keysOf("service"), ...destinations.map(serviceOf)]);
    return [...services].map((key) => ({
        service: key,
        ...object<ServiceValue>("service", key),
        realServers: destinations
            .filter((destination) => serviceOf(destination) === key)
            .map((destination) => {
                const until = holders(state.ledger, "destination", destination)
                    .map(({ file }) => file.draining)
                    .find((each) => each?.key === destination)?.until;
                return {
                    realServer: destination.slice(key.length + 1),
                    ...object<DestinationValue>("destination", destination),
                    ...(connections.get(destination) ?? { active: 0, inactive: 0 }),
                    maintenance: marks.has(destination),
                    ...(until === undefined ? {} : { draining: { seconds: Math.max(0, until - hostTime(state)) } }),
                };
            }),
    }));
}

function differing(kind: string, key: string, asked: Value | undefined, have: Value | undefined): string[] {
    if (asked === undefined || have === undefined || satisfied(kind, key, asked, have)) return [];
    const [a, b] = [asked, have] as Record<string, Value>[];
    return Object.keys(a!).filter((name) => show(a![name]) !== show(b![name]));
}

function print(all: HostStatus[], values: Values): string {
    if (values["json"] === true) return `${JSON.stringify(all, null, 4)}\n`;
    return all
        .flatMap((each) =>
            each.error === undefined
                ? [each.host, ...(each.services.length === 0 ? ["  no services"] : each.services.flatMap(lines))]
                : [`${each.host} was not looked at: ${each.error}`],
        )
        .map((line) => `${line}\n`)
        .join("");
}

function lines(service: ServiceStatus): string[] {
    const { kernel } = service;
    const what =
        kernel === null
            ? ["not in the kernel"]
            : [
                  [kernel.scheduler, ...kernel.flags].join(" "),
                  ...(kernel.persistence === null ? [] : [`persistent ${kernel.persistence.timeout}`]),
                  ...(kernel.onePacket ? ["ops"] : []),
              ];
    return [
        `  ${service.service} ${what.join(" ")}${remarks(service)} [${owners(service)}]`,
        ...counts(service, "    "),
        ...service.realServers.flatMap((each) => [`    -> ${realServer(each)}`, ...counts(each, "       ")]),
    ];
}

function realServer(each: RealServerStatus): string {
    const { kernel, active, inactive, maintenance, draining } = each;
    const what =
        kernel === null
            ? "not in the kernel"
            : `${kernel.forwarding} weight ${kernel.weight} active ${active} inactive ${inactive}`;
    const states = [
        ...(maintenance ? ["under maintenance"] : []),
        ...(draining === undefined ? [] : [`draining, at most ${draining.seconds} s more`]),
    ].map((text) => `, ${text}`);
    return `${each.realServer} ${what}${states.join("")}${remarks(each)} [${owners(each)}]`;
}

/** What differs: the declared values. */
function remarks<V>({ differs, claims }: ObjectStatus<V>): string {
    const declared = claims[0]?.value as Record<string, Value> | undefined;
    return differs.map((name) => `, declared ${name} ${show(declared![name])}`).join("");
}

function owners<V>({ claims }: ObjectStatus<V>): string {
    return claims.length === 0 ? "nobody's" : claims.map(({ owner }) => describeOwner(owner)).join(", ");
}

function counts<V>({ stats, rate }: ObjectStatus<V>, indent: string): string[] {
    const text = ({ connections, inPackets, outPackets, inBytes, outBytes }: Counters) =>
        `connections ${connections}, packets in ${inPackets} out ${outPackets}, bytes in ${inBytes} out ${outBytes}`;
    return [
        ...(stats === undefined ? [] : [`${indent}total: ${text(stats)}`]),
        ...(rate === undefined ? [] : [`${indent}per second: ${text(rate)}`]),
    ];
}

import { kernelAddress } from "../ipvs/address";
import { type DestinationValue, parseDestinationKey, type ServiceValue, type SyncDaemon } from "../ipvs/model";
import { parseDaemons, parseTable, parseTimeouts, type Table } from "../ipvs/parse";
import {
    addDestination,
    addService,
    deleteDestination,
    deleteService,
    editDestination,
    editService,
    listings,
    setTimeouts,
    startDaemon,
    stopDaemon,
} from "../ipvs/render";
import { type Action, type Kind, ranks, type Value } from "./kind";
import type { Probe } from "./probe";

/** The commands whose output makes up the section `ipvs.<name>` of a probe. */
export const ipvsListings = listings;

const ipvsadm = (words: string[]): Action[] => [{ run: ["ipvsadm", ...words] }];

const tables = new WeakMap<Probe, Table>();

/** The table of a probe, read once. */
export function tableOf(probe: Probe): Table {
    const known = tables.get(probe);
    if (known !== undefined) return known;
    const save = probe.section("ipvs.save");
    const thresholds = probe.section("ipvs.thresholds");
    // A kernel without IPVS, or one that has not loaded it, has no listing at all.
    const none = { services: new Map(), destinations: new Map(), connections: new Map() };
    const table: Table = save === "" && thresholds === "" ? none : parseTable(save, thresholds);
    tables.set(probe, table);
    return table;
}

type Plain<T> = T & Record<string, Value>;

/** A virtual service, keyed `tcp/192.0.2.100:80`, `fwm/1`, `fwm6/1`. Edited in place, always with every attribute. */
export const serviceKind: Kind<Plain<ServiceValue & { persistence: Value }>> = {
    name: "service",
    group: "ipvs",
    nature: "rule",
    tool: "ipvsadm",
    rank: () => ranks.service,
    read: (probe) => new Map(tableOf(probe).services as Map<string, never>),
    set: (key, want, have) =>
        ipvsadm((have === undefined ? addService : editService)(key, want as unknown as ServiceValue)),
    unset: (key) => ipvsadm(deleteService(key)),
    describe: (key) => `virtual service ${key}`,
};

/** A real server of a service, keyed `tcp/192.0.2.100:80/192.0.2.21:80`. Edited in place, always with every attribute. */
export const destinationKind: Kind<Plain<DestinationValue & { tunnel: Value }>> = {
    name: "destination",
    group: "ipvs",
    nature: "rule",
    tool: "ipvsadm",
    rank: () => ranks.destination,
    read: (probe) => new Map(tableOf(probe).destinations as Map<string, never>),
    set: (key, want, have) =>
        ipvsadm((have === undefined ? addDestination : editDestination)(key, want as unknown as DestinationValue)),
    unset: (key) => ipvsadm(deleteDestination(key)),
    parent: (key) => ({ kind: "service", key: parseDestinationKey(key, kernelAddress).service }),
    describe: (key) => `real server ${key}`,
};

/** One of the host's three IPVS timeouts, in seconds, keyed `tcp`, `tcpfin`, `udp`. */
export const timeoutKind: Kind<number> = {
    name: "timeout",
    group: "ipvs.host",
    nature: "setting",
    tool: "ipvsadm",
    rank: () => ranks.timeouts,
    read: (probe) => {
        const text = probe.section("ipvs.timeouts");
        return text.trim() === "" ? new Map() : new Map(Object.entries(parseTimeouts(text)));
    },
    set: (key, want) => ipvsadm(setTimeouts({ tcp: 0, tcpfin: 0, udp: 0, [key]: want })),
    describe: (key) => `IPVS timeout ${key}`,
};

/** A connection synchronisation daemon, keyed `master` or `backup`. It cannot be changed, only started anew. */
export const syncKind: Kind<Plain<SyncDaemon>> = {
    name: "sync",
    group: "ipvs.host",
    nature: "rule",
    tool: "ipvsadm",
    rank: () => ranks.sync,
    read: (probe) =>
        new Map(
            parseDaemons(probe.section("ipvs.daemons")).map((each) => [each.role as string, each as Plain<SyncDaemon>]),
        ),
    satisfied: (want, have) =>
        Object.entries(want).every(([name, value]) => have[name] === value || (name === "maxlen" && value === 0)),
    set: (key, want, have) => [
        ...(have === undefined ? [] : ipvsadm(stopDaemon(key as SyncDaemon["role"]))),
        ...ipvsadm(startDaemon(want)),
    ],
    unset: (key) => ipvsadm(stopDaemon(key as SyncDaemon["role"])),
    describe: (key) => `sync daemon ${key}`,
};

import { kernelAddress } from "../ipvs/address";
import {
    type DestinationValue,
    parseDestinationKey,
    parseServiceKey,
    type ServiceValue,
    type SyncDaemon,
} from "../ipvs/model";
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

/**
 * Edits a service so that its scheduler is swapped unnoticed. The kernel takes the old scheduler off before it binds the
 * new one (ip_vs_edit_service); a connection that arrives in between is refused by an ICMP "port unreachable" from the
 * VIP. Where nft is at hand these answers are held back for that moment, and the client's SYN comes again. The set's
 * element ends by itself: a session that is killed here leaves a table that does nothing.
 */
const SWAP_SCHEDULER = `
a=$1; shift
case $a in *:*) f=ip6 t=ipv6_addr i='icmpv6 type destination-unreachable icmpv6 code 4' ;;
*) f=ip t=ipv4_addr i='icmp type destination-unreachable icmp code 3' ;; esac
nft "add table inet pulumi_lvs_swap; delete table inet pulumi_lvs_swap
table inet pulumi_lvs_swap {
    set vips { type $t; flags timeout; elements = { $a timeout 10s } }
    chain output { type filter hook output priority 0; $f saddr @vips $i drop; }
}" 2>/dev/null
ipvsadm "$@"
s=$?
nft delete table inet pulumi_lvs_swap 2>/dev/null
exit $s`.trim();

/** A mark has no address of its own: its service is edited as it is. */
const swapScheduler = (key: string, want: ServiceValue): Action[] => {
    const service = parseServiceKey(key);
    const words = editService(key, want);
    return "fwmark" in service ? ipvsadm(words) : [{ script: SWAP_SCHEDULER, words: [service.address, ...words] }];
};

/** A virtual service, keyed `tcp/192.0.2.100:80`, `fwm/1`, `fwm6/1`. Edited in place, always with every attribute. */
export const serviceKind: Kind<Plain<ServiceValue & { persistence: Value }>> = {
    name: "service",
    group: "ipvs",
    nature: "rule",
    tool: "ipvsadm",
    rank: () => ranks.service,
    read: (probe) => new Map(tableOf(probe).services as Map<string, never>),
    set: (key, want, have) => {
        const value = want as unknown as ServiceValue;
        if (have === undefined) return ipvsadm(addService(key, value));
        return have.scheduler === want.scheduler ? ipvsadm(editService(key, value)) : swapScheduler(key, value);
    },
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

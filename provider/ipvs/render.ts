/**
 * Values to ipvsadm's language: each function gives the words after `ipvsadm`. A command that adds or edits always
 * carries the full set of attributes, because `-E` and `-e` reset what is left out. Nothing here is silently changed by
 * ipvsadm afterwards: what it would drop or rewrite is an error.
 */
import { hostPort, kernelAddress } from "./address";
import {
    type DestinationValue,
    familyOfService,
    forcedPort,
    isMark,
    mayMixFamilies,
    type Protocol,
    parseDestinationKey,
    parseServiceKey,
    type ServiceValue,
    type SyncDaemon,
    sameFamily,
    type Timeouts,
    type TunnelChecksum,
    tunnelChecksums,
} from "./model";
import { netmaskWord } from "./netmask";
import { canonicalFlags } from "./schedulers";

const protocolWord: Record<Protocol, string> = { tcp: "-t", udp: "-u", sctp: "--sctp-service" };
const forwardingWord = { nat: "-m", dr: "-g", tun: "-i" } as const;
const checksumWord: Record<TunnelChecksum, string> = {
    none: "--tun-nocsum",
    csum: "--tun-csum",
    remcsum: "--tun-remcsum",
};

export function addService(key: string, value: ServiceValue): string[] {
    return ["-A", ...serviceWords(key), ...serviceAttributes(key, value)];
}

/** In place, the scheduler too; established connections do not notice. */
export function editService(key: string, value: ServiceValue): string[] {
    return ["-E", ...serviceWords(key), ...serviceAttributes(key, value)];
}

/** Takes all its destinations with it, whoever added them. */
export function deleteService(key: string): string[] {
    return ["-D", ...serviceWords(key)];
}

export function addDestination(key: string, value: DestinationValue): string[] {
    return ["-a", ...destinationWords(key), ...destinationAttributes(key, value)];
}

/** In place, the forwarding method too as long as the port stays. */
export function editDestination(key: string, value: DestinationValue): string[] {
    return ["-e", ...destinationWords(key), ...destinationAttributes(key, value)];
}

export function deleteDestination(key: string): string[] {
    return ["-d", ...destinationWords(key)];
}

/** A timeout of 0 leaves that one as it is. */
export function setTimeouts(value: Timeouts): string[] {
    return ["--set", String(value.tcp), String(value.tcpfin), String(value.udp)];
}

export function startDaemon(value: SyncDaemon): string[] {
    return [
        ...["--start-daemon", value.role, "--mcast-interface", value.interface, "--syncid", String(value.syncid)],
        ...(value.maxlen === 0 ? [] : ["--sync-maxlen", String(value.maxlen)]),
        ...["--mcast-group", value.group, "--mcast-port", String(value.port), "--mcast-ttl", String(value.ttl)],
    ];
}

export function stopDaemon(role: SyncDaemon["role"]): string[] {
    return ["--stop-daemon", role];
}

/** The two listings that {@link parseTable} reads, and the other two that make the picture complete. */
export const listings = {
    save: ["-Sn"],
    thresholds: ["-Ln", "--thresholds"],
    timeouts: ["-L", "--timeout"],
    daemons: ["-L", "--daemon"],
    version: ["-v"],
} as const;

/** The two listings that `parseCounters` reads. */
export const counterListings = {
    stats: ["-Ln", "--stats", "--exact"],
    rate: ["-Ln", "--rate", "--exact"],
} as const;

/**
 * One line for `ipvsadm -R`. It cuts at white space and knows no quoting, and a line that begins with `#` ends it, so
 * a word that is anything but plain signs is refused here.
 */
export function restoreLine(words: readonly string[]): string {
    const odd = words.find((word) => !/^[A-Za-z0-9_.,:@+=[\]-]+$/.test(word));
    if (odd !== undefined || words.length === 0) {
        throw new Error(`${JSON.stringify(odd ?? "")} cannot stand in a line for ipvsadm -R`);
    }
    return words.join(" ");
}

/** The words that name a service. `-6` belongs to marks alone and resets the netmask, so it stands before any `-M`. */
function serviceWords(key: string): string[] {
    const id = parseServiceKey(key, kernelAddress);
    if ("fwmark" in id) {
        return ["-f", String(id.fwmark), ...(id.family === "ipv6" ? ["-6"] : [])];
    }
    return [protocolWord[id.protocol], hostPort(id.address, id.port)];
}

function serviceAttributes(key: string, value: ServiceValue): string[] {
    const { persistence } = value;
    const flags = canonicalFlags(value.scheduler, value.flags);
    if (value.onePacket && !isMark(key) && !key.startsWith("udp/")) {
        throw new Error(`${key}: one-packet scheduling is for udp and firewall marks`);
    }
    return [
        ...["-s", value.scheduler],
        ...(persistence !== null && persistence.timeout > 0
            ? ["-p", String(persistence.timeout), "-M", netmaskWord(persistence.netmask, familyOfService(key))]
            : []),
        ...(persistence !== null && persistence.engine !== null ? ["--pe", persistence.engine] : []),
        ...(value.onePacket ? ["-o"] : []),
        ...(flags.length > 0 ? ["-b", flags.join(",")] : []),
    ];
}

function destinationWords(key: string): string[] {
    const { service, address, port } = parseDestinationKey(key, kernelAddress);
    return [...serviceWords(service), "-r", hostPort(address, port)];
}

function destinationAttributes(key: string, value: DestinationValue): string[] {
    const { service, address, port } = parseDestinationKey(key, kernelAddress);
    const forced = forcedPort(service, value.forwarding);
    if (forced !== undefined && forced !== port) {
        throw new Error(
            `${key}: by ${value.forwarding} the port is the service's, ${forced}, and ipvsadm would write that`,
        );
    }
    if (!sameFamily(service, address) && !mayMixFamilies(value.forwarding)) {
        throw new Error(`${key}: only a tunnel takes a real server of the other address family`);
    }
    if ((value.forwarding === "tun") !== (value.tunnel !== null)) {
        throw new Error(`${key}: a tunnel belongs to forwarding by tun, and to nothing else`);
    }
    return [
        forwardingWord[value.forwarding],
        ...["-w", String(value.weight)],
        ...["-x", String(value.upperThreshold), "-y", String(value.lowerThreshold)],
        ...tunnelWords(key, value),
    ];
}

/** ipip goes without saying, and so does an ipvsadm that knows no other. */
function tunnelWords(key: string, { tunnel }: DestinationValue): string[] {
    if (tunnel === null) {
        return [];
    }
    if (!tunnelChecksums[tunnel.type].includes(tunnel.checksum) || (tunnel.type === "gue") !== (tunnel.port !== null)) {
        throw new Error(`${key}: no ${tunnel.type} tunnel has checksum ${tunnel.checksum} and port ${tunnel.port}`);
    }
    if (tunnel.type === "ipip") {
        return [];
    }
    return [
        ...["--tun-type", tunnel.type],
        ...(tunnel.port === null ? [] : ["--tun-port", String(tunnel.port)]),
        checksumWord[tunnel.checksum],
    ];
}

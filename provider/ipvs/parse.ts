/**
 * What ipvsadm and the kernel print, to values. No single listing says everything: `-Sn` leaves out thresholds,
 * timeouts and daemons, so a full read is four listings. Every line is understood or is an error that shows it: a rule
 * that was overlooked would be planned against as if it did not exist.
 */
import { type Family, kernelAddress, parseHostPort } from "./address";
import type { Connections } from "./connections";
import { headerLength, protocolListed } from "./heading";
import { defaults, limits } from "./limits";
import { type Line, linesOf, reading, unreadable, Words, wholeNumber } from "./lines";
import {
    type DestinationValue,
    destinationKey,
    type Forwarding,
    familyOfService,
    type Persistence,
    type Protocol,
    type ServiceValue,
    type SyncDaemon,
    serviceKey,
    type Timeouts,
    type TunnelChecksum,
    type TunnelType,
    type TunnelValue,
} from "./model";
import { canonicalNetmask, hostMask } from "./netmask";

export { type ConnectionCounts, type Connections, parseConnections } from "./connections";
export { parseSize } from "./heading";
export { UnreadableOutput } from "./lines";

export interface Table {
    services: Map<string, ServiceValue>;
    destinations: Map<string, DestinationValue>;
    /** Counters, apart from the values, by destination. */
    connections: Map<string, Connections>;
}

const SAVE = "ipvsadm -Sn";
const THRESHOLDS = "ipvsadm -Ln --thresholds";
const TIMEOUTS = "ipvsadm -L --timeout";
const DAEMONS = "ipvsadm -L --daemon";

/**
 * The kernel's table out of `ipvsadm -Sn` and `ipvsadm -Ln --thresholds`, taken right after each other. What stands in
 * one of them only came or went between the two, and is taken as not there.
 */
export function parseTable(save: string, thresholds: string): Table {
    const saved = parseSave(save);
    const listed = parseThresholds(thresholds);
    const destinations = new Map<string, DestinationValue>();
    const connections = new Map<string, Connections>();
    for (const [key, value] of saved.destinations) {
        const found = listed.destinations.get(key);
        if (found !== undefined) {
            destinations.set(key, { ...value, upperThreshold: found.upper, lowerThreshold: found.lower });
            connections.set(key, { active: found.active, inactive: found.inactive });
        }
    }
    const services = new Map([...saved.services].filter(([key]) => listed.services.has(key)));
    return { services, destinations, connections };
}

const protocolOf: Record<string, Protocol> = { "-t": "tcp", "-u": "udp", "--sctp-service": "sctp" };
const forwardingOf: Record<string, Forwarding> = { "-m": "nat", "-g": "dr", "-i": "tun" };
const checksumOf: Record<string, TunnelChecksum> = {
    "--tun-nocsum": "none",
    "--tun-csum": "csum",
    "--tun-remcsum": "remcsum",
};

function parseSave(text: string): Pick<Table, "services" | "destinations"> {
    const services = new Map<string, ServiceValue>();
    const destinations = new Map<string, DestinationValue>();
    for (const line of linesOf(SAVE, text)) {
        const words = new Words(line);
        const command = words.next("the command");
        if (command === "-A") {
            const key = serviceOf(words);
            put(line, services, key, parseServiceOptions(words, key));
        } else if (command === "-a") {
            const key = serviceOf(words);
            if (!services.has(key)) {
                throw unreadable(line, `a real server of ${key}, which was not listed before it`);
            }
            const [address, port] = destinationOf(words);
            put(line, destinations, destinationKey(key, address, port), parseDestinationOptions(words));
        } else {
            throw unreadable(line, "neither a service (-A) nor a real server (-a)");
        }
    }
    return { services, destinations };
}

function put<T>(line: Line, map: Map<string, T>, key: string, value: T): void {
    if (map.has(key)) {
        throw unreadable(line, `${key} for the second time`);
    }
    map.set(key, value);
}

/** `-t 192.0.2.100:80`, `-f 1`, `-f 1 -6`. */
function serviceOf(words: Words): string {
    const option = words.next("the service");
    if (option === "-f") {
        const fwmark = markOf(words.line, words.next("the mark"));
        return serviceKey({ fwmark, family: words.take("-6") ? "ipv6" : "ipv4" });
    }
    const protocol = Object.hasOwn(protocolOf, option) ? protocolOf[option]! : undefined;
    if (protocol === undefined) {
        throw unreadable(words.line, `"${option}" names no service`);
    }
    const [address, port] = addressAndPort(words.line, words.next("the service's address"));
    return serviceKey({ protocol, address, port });
}

/** ipvsadm prints a mark as a signed number, so those from 2^31 up come out negative, and `-R` refuses them. */
function markOf(line: Line, word: string): number {
    const value = /^-?\d+$/.test(word) ? Number(word) : Number.NaN;
    const mark = value < 0 ? value + 2 ** 32 : value;
    if (!(mark >= limits.firewallMark.min && mark <= limits.firewallMark.max)) {
        throw unreadable(line, `"${word}" is not a firewall mark`);
    }
    return mark;
}

function addressAndPort(line: Line, word: string): [address: string, port: number] {
    const { address, port } = reading(line, () => parseHostPort(word, kernelAddress));
    if (port === undefined) {
        throw unreadable(line, `"${word}" has no port`);
    }
    return [address, port];
}

function parseServiceOptions(words: Words, key: string): ServiceValue {
    const family = familyOfService(key);
    const value: ServiceValue = { scheduler: "", flags: [], onePacket: false, persistence: null };
    const persist = (): Persistence => {
        value.persistence ??= { timeout: 0, netmask: hostMask(family), engine: null };
        return value.persistence;
    };
    while (words.peek() !== undefined) {
        const option = words.next("an option");
        switch (option) {
            case "-s":
                value.scheduler = words.next("the scheduler");
                break;
            case "-p":
                persist().timeout = words.number("the persistence timeout");
                break;
            case "-M": {
                const word = words.next("the netmask");
                persist().netmask = reading(words.line, () => readNetmask(word, family));
                break;
            }
            case "--pe":
            case "pe": // ipvsadm 1.26
                persist().engine = words.next("the persistence engine");
                break;
            case "-o":
            case "ops": // ipvsadm 1.26
                value.onePacket = true;
                break;
            case "-b":
                value.flags = flagsOf(words.peek() === undefined ? "" : words.next("the flags"));
                break;
            default:
                throw unreadable(words.line, `"${option}" is no option of a service`);
        }
    }
    if (value.scheduler === "") {
        throw unreadable(words.line, "the scheduler is missing");
    }
    return value;
}

/** ipvsadm prints IPv4 masks dotted only, so a bare number would be something else. */
function readNetmask(word: string, family: Family): Persistence["netmask"] {
    if (family === "ipv4" && !word.includes(".")) {
        throw new Error(`"${word}" is not a dotted netmask`);
    }
    return canonicalNetmask(word, family);
}

/** sh and mh have no name for the third flag: ipvsadm then prints `-b` with nothing after it, or leaves it out. */
function flagsOf(word: string): string[] {
    return word === "" ? ["flag-3"] : word.split(",");
}

function destinationOf(words: Words): [address: string, port: number] {
    if (!words.take("-r")) {
        throw unreadable(words.line, "the real server (-r) is missing");
    }
    return addressAndPort(words.line, words.next("the real server's address"));
}

function parseDestinationOptions(words: Words): DestinationValue {
    let forwarding: Forwarding | undefined;
    let weight: number | undefined;
    const tunnel: TunnelValue = { type: "ipip", port: null, checksum: "none" };
    while (words.peek() !== undefined) {
        const option = words.next("an option");
        if (Object.hasOwn(forwardingOf, option)) {
            forwarding = forwardingOf[option];
        } else if (Object.hasOwn(checksumOf, option)) {
            tunnel.checksum = checksumOf[option]!;
        } else if (option === "-w") {
            weight = words.number("the weight");
        } else if (option === "--tun-type") {
            tunnel.type = tunnelTypeOf(words);
        } else if (option === "--tun-port") {
            tunnel.port = words.number("the tunnel's port");
        } else {
            throw unreadable(words.line, `"${option}" is no option of a real server`);
        }
    }
    if (forwarding === undefined || weight === undefined) {
        throw unreadable(words.line, "the forwarding method or the weight is missing");
    }
    return {
        forwarding,
        weight,
        upperThreshold: 0,
        lowerThreshold: 0,
        tunnel: forwarding === "tun" ? tunnel : null,
    };
}

function tunnelTypeOf(words: Words): TunnelType {
    const word = words.next("the tunnel's type");
    if (word !== "ipip" && word !== "gue" && word !== "gre") {
        throw unreadable(words.line, `"${word}" is no type of tunnel`);
    }
    return word;
}

interface Listed extends Connections {
    upper: number;
    lower: number;
}

/** `ipvsadm -Ln --thresholds`: which services there are, and what it alone says of their real servers. */
function parseThresholds(text: string): { services: Set<string>; destinations: Map<string, Listed> } {
    const lines = linesOf(THRESHOLDS, text);
    const services = new Set<string>();
    const destinations = new Map<string, Listed>();
    let service: string | undefined;
    for (const line of lines.slice(headerLength(THRESHOLDS, lines))) {
        const words = new Words(line);
        if (words.take("->")) {
            if (service === undefined) {
                throw unreadable(line, "a real server before any service");
            }
            const [address, port] = addressAndPort(line, words.next("the real server's address"));
            put(line, destinations, destinationKey(service, address, port), {
                upper: words.number("the upper threshold"),
                lower: words.number("the lower threshold"),
                active: words.number("the number of active connections"),
                inactive: words.number("the number of inactive connections"),
            });
            words.end();
        } else {
            service = listedService(words);
            if (services.has(service)) {
                throw unreadable(line, `${service} for the second time`);
            }
            services.add(service);
        }
    }
    return { services, destinations };
}

/** What follows a service's name: its scheduler, and all that `-Sn` says better. `()` is flag-3 of sh or mh. */
const LISTED_ATTRIBUTES = /^[\w-]+( \([\w,-]*\))?( persistent \d+( mask [\d.]+)?( pe \S+)?)?( ops)?$/;

/** `TCP  192.0.2.100:80 wlc (flag-1) persistent 360 mask 255.255.255.0 pe sip ops`, `FWM  1 IPv6 rr`. */
function listedService(words: Words): string {
    const key = listedKey(words);
    const attributes = words.rest();
    if (!LISTED_ATTRIBUTES.test(attributes)) {
        throw unreadable(words.line, `"${attributes}" does not describe a service`);
    }
    return key;
}

function listedKey(words: Words): string {
    const word = words.next("the protocol");
    if (word === "FWM") {
        const fwmark = markOf(words.line, words.next("the mark"));
        return serviceKey({ fwmark, family: words.take("IPv6") ? "ipv6" : "ipv4" });
    }
    const protocol = protocolListed(words.line, word);
    const [address, port] = addressAndPort(words.line, words.next("the service's address"));
    return serviceKey({ protocol, address, port });
}

/** What the kernel counted of a service or a real server: totals, or, in the listing of rates, per second. */
export interface Counters {
    connections: number;
    inPackets: number;
    outPackets: number;
    inBytes: number;
    outBytes: number;
}

/**
 * `ipvsadm -Ln --stats --exact`, since the service or real server was added, or `--rate --exact`, an average over some
 * seconds; by key. By dr and tun no answer crosses the director: what goes out is 0.
 */
export function parseCounters(source: string, text: string): Map<string, Counters> {
    const lines = linesOf(source, text);
    const counters = new Map<string, Counters>();
    let service: string | undefined;
    for (const line of lines.slice(headerLength(source, lines))) {
        const words = new Words(line);
        let key: string;
        if (words.take("->")) {
            if (service === undefined) {
                throw unreadable(line, "a real server before any service");
            }
            key = destinationKey(service, ...addressAndPort(line, words.next("the real server's address")));
        } else {
            key = service = listedKey(words);
        }
        put(line, counters, key, {
            connections: countOf(words, "connections"),
            inPackets: countOf(words, "incoming packets"),
            outPackets: countOf(words, "outgoing packets"),
            inBytes: countOf(words, "incoming bytes"),
            outBytes: countOf(words, "outgoing bytes"),
        });
        words.end();
    }
    return counters;
}

/** A counter of 64 bits; what a number here cannot hold exactly is rounded. */
function countOf(words: Words, what: string): number {
    const word = words.next(`the number of ${what}`);
    if (!/^\d+$/.test(word)) {
        throw unreadable(words.line, `the number of ${what} should be a number, not "${word}"`);
    }
    return Number(word);
}

/** `ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)`. */
export function parseVersion(text: string): { ipvsadm: string; ipvs: string } {
    const [line] = linesOf("ipvsadm -v", text);
    const match = /^ipvsadm v(\d+(?:\.\d+)*)\b.*\bIPVS v(\d+(?:\.\d+)*)\)/.exec(line?.text.trim() ?? "");
    if (match === null) {
        throw unreadable(line ?? { source: "ipvsadm -v", number: 0, text: "" }, "no version of ipvsadm");
    }
    return { ipvsadm: match[1]!, ipvs: match[2]! };
}

/** `Timeout (tcp tcpfin udp): 900 120 300`. */
export function parseTimeouts(text: string): Timeouts {
    const lines = linesOf(TIMEOUTS, text);
    const line = lines[0] ?? { source: TIMEOUTS, number: 0, text: "" };
    const match = /^Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)$/.exec(line.text.trim());
    if (match === null || lines.length !== 1) {
        throw unreadable(match === null ? line : lines[1]!, "expected one line, the timeouts of tcp, tcpfin and udp");
    }
    return { tcp: Number(match[1]), tcpfin: Number(match[2]), udp: Number(match[3]) };
}

/**
 * `master sync daemon (mcast=eth0, syncid=1, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)`; none, no line. Kernels
 * before 4.3 know the first two only, and then the others are not printed.
 */
export function parseDaemons(text: string): SyncDaemon[] {
    return linesOf(DAEMONS, text).map((line) => {
        const match = /^(master|backup) sync daemon \((.*)\)$/.exec(line.text.trim());
        if (match === null) {
            throw unreadable(line, "expected a master or a backup sync daemon");
        }
        const fields = new Map(
            match[2]!.split(", ").map((field) => {
                const cut = field.indexOf("=");
                return [field.slice(0, cut), field.slice(cut + 1)] as const;
            }),
        );
        const take = (name: string, otherwise?: string): string => {
            const value = fields.get(name) ?? otherwise;
            fields.delete(name);
            if (value === undefined || value === "") {
                throw unreadable(line, `${name} is missing`);
            }
            return value;
        };
        const daemon: SyncDaemon = {
            role: match[1] as SyncDaemon["role"],
            interface: take("mcast"),
            syncid: wholeNumber(line, take("syncid"), "syncid"),
            maxlen: wholeNumber(line, take("maxlen", "0"), "maxlen"),
            group: reading(line, () => kernelAddress(take("group", defaults.syncGroup))),
            port: wholeNumber(line, take("port", String(defaults.syncPort)), "port"),
            ttl: wholeNumber(line, take("ttl", String(defaults.syncTtl)), "ttl"),
        };
        if (fields.size > 0) {
            throw unreadable(line, `"${[...fields.keys()].join(", ")}" is no part of a sync daemon`);
        }
        return daemon;
    });
}

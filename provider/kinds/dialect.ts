/**
 * What our packet-filter rules are, and what a program that sets them has to say: each program (nft; iptables and
 * ip6tables where nft is missing) is one value of `Dialect`, and every kind of rule works with all of them.
 */
import { parseServiceKey } from "../ipvs/model";
import type { Action, Kind } from "./kind";
import type { Probe } from "./probe";

/** How one sort of rule is read and written. */
export interface Words<V> {
    read(probe: Probe): [string, V][];
    set(key: string, want: V, have: V | undefined): Action[];
    unset(key: string, have: V): Action[];
    /** See {@link Kind.remains}. */
    remains?(probe: Probe): string | undefined;
    /** What sets it at boot, where that differs from `set` of an absent rule. */
    boot?(key: string, want: V): Action[];
}

/** A rule under a key of ours that says something else, as it is listed. */
export type Edited = { rule: string };

export interface Dialect {
    /** The program. */
    readonly tool: "nft" | "iptables" | "ip6tables";
    /** The only family that it speaks of; undefined: both. */
    readonly family?: "ipv4" | "ipv6";
    /** What the keys of its objects begin with. */
    readonly prefix: string;
    /** The key of the frame that its rules stand in. */
    readonly frame: string;
    /** What the answers of a redirected service come from where segment sizes are set: the VIP, or the host's own address. */
    readonly answersFrom: "vip" | "own";
    readonly table: Words<string>;
    /** A firewall mark for traffic. */
    readonly mark: Words<number | Edited>;
    /** Masquerading, keyed by two networks: `10.0.0.0/8 0.0.0.0/0`; an address: the one that packets get. */
    readonly masquerade: Words<true | string | Edited>;
    /** The largest TCP segment that this host tells clients of a service to send. */
    readonly mss: Words<number | Edited>;
    /** The host's own address, for traffic to a VIP that the host does not have. */
    readonly redirect: Words<string | Edited>;
}

/** A port, 0 for every port, or a range: `10000-20000`. */
export type Ports = number | string;

/** What arrives at an address. */
export interface Traffic {
    family: "ipv4" | "ipv6";
    protocol: string;
    address: string;
    port: Ports;
}

/** Whether ports are every port, or have this one among them. */
export function hasPort(ports: Ports, port: number): boolean {
    const [first, last] = portRange(ports);
    return ports === 0 || (first <= port && port <= last);
}

/** Whether a mark on this traffic takes it away from a service, given by its key: IPVS looks for the mark's own service first. */
export function takesFrom({ protocol, address, port }: Omit<Traffic, "family">, service: string): boolean {
    const id = parseServiceKey(service);
    return "protocol" in id && protocol === id.protocol && address === id.address && hasPort(port, id.port);
}

/** The first and the last of them. */
export function portRange(ports: Ports): [first: number, last: number] {
    const [first = 0, last = first] = String(ports).split("-").map(Number);
    return [first, last];
}

/** Whether two marks want a port in common. Every port may have a mark of its own beside what marks some: it counts last. */
export function portsMeet(one: Ports, other: Ports): boolean {
    if (one === 0 || other === 0) return one === other;
    const [[first, last], [from, to]] = [portRange(one), portRange(other)];
    return first <= to && from <= last;
}

/** Traffic as a key: `ipv4/tcp/192.0.2.100/80`. */
export function trafficKey(protocol: string, address: string, port: Ports): string {
    return `${address.includes(":") ? "ipv6" : "ipv4"}/${protocol}/${address}/${port}`;
}

export function parseTrafficKey(key: string): Traffic {
    const [family, protocol = "", address = "", port = ""] = key.split("/");
    const ports = port.includes("-") ? port : Number(port);
    return { family: family === "ipv6" ? "ipv6" : "ipv4", protocol, address, port: ports };
}

/** The key of the masquerading of what goes from `source` to `destination`, by default to anywhere. */
export function masqueradeKey({ source, destination }: { source: string; destination?: string | undefined }): string {
    return `${source} ${destination ?? (source.includes(":") ? "::/0" : "0.0.0.0/0")}`;
}

/** A masquerade's networks; `destination` undefined: to anywhere. */
export function parseMasqueradeKey(key: string): { source: string; destination: string | undefined } {
    const [source = "", destination = ""] = key.split(" ");
    return {
        source,
        destination: destination === "0.0.0.0/0" || destination === "::/0" ? undefined : destination,
    };
}

/** A rule's number as it was listed; undefined where the rule has none. */
export function numberOf(text: string | undefined): number | undefined {
    return text === undefined ? undefined : Number(text);
}

/** A protocol as keys name it: programs list names or numbers. */
export function protocolName(text: string): string {
    return { "6": "tcp", "17": "udp", "132": "sctp" }[text] ?? text;
}

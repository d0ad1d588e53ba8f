/**
 * What IPVS holds, as plain values: a key says which object, a value says everything else about it. Values are
 * canonical, with every default filled in, so that two are equal exactly if their JSON is.
 */
import { canonicalAddress, type Family, familyOf, hostPort, kernelAddress, parseHostPort } from "./address";
import { limits } from "./limits";
import type { Netmask } from "./netmask";

export type Protocol = "tcp" | "udp" | "sctp";
export const protocols: readonly Protocol[] = ["tcp", "udp", "sctp"];

export type Forwarding = "nat" | "dr" | "tun";
export const forwardings: readonly Forwarding[] = ["nat", "dr", "tun"];

export type TunnelType = "ipip" | "gue" | "gre";
export const tunnelTypes: readonly TunnelType[] = ["ipip", "gue", "gre"];

export type TunnelChecksum = "none" | "csum" | "remcsum";
/** The checksums that each tunnel type can be told to make: ipvsadm's tunnel_types_v_options. */
export const tunnelChecksums: Record<TunnelType, readonly TunnelChecksum[]> = {
    ipip: ["none"],
    gue: ["none", "csum", "remcsum"],
    gre: ["none", "csum"],
};

/** What identifies a service: its address, or a firewall mark and a family (`-f 1` and `-f 1 -6` are two services). */
export type ServiceIdentity =
    | { protocol: Protocol; address: string; port: number }
    | { fwmark: number; family: Family };

export interface Persistence {
    /** Seconds. 0 only as read: an engine that somebody set without persistence, where it does nothing. */
    timeout: number;
    /** A prefix length, or dotted for an IPv4 mask with holes. */
    netmask: Netmask;
    engine: string | null;
}

export interface ServiceValue {
    scheduler: string;
    /** By their canonical names, in the kernel's order, without one-packet scheduling. */
    flags: string[];
    /** `--ops`: a decision for every packet, no connection is kept. */
    onePacket: boolean;
    persistence: Persistence | null;
}

export interface TunnelValue {
    type: TunnelType;
    /** gue only. */
    port: number | null;
    checksum: TunnelChecksum;
}

export interface DestinationValue {
    forwarding: Forwarding;
    weight: number;
    /** 0: none. */
    upperThreshold: number;
    /** 0: three quarters of the upper one. */
    lowerThreshold: number;
    /** Present exactly if forwarding is tun. */
    tunnel: TunnelValue | null;
}

/** Seconds until an idle connection is forgotten, by state. One set for the whole host. */
export interface Timeouts {
    tcp: number;
    tcpfin: number;
    udp: number;
}

/** One of the at most two daemons (a master and a backup) that copy connections between directors. */
export interface SyncDaemon {
    role: "master" | "backup";
    interface: string;
    syncid: number;
    /** Bytes of a sync message; 0 as a wish: the kernel chooses. */
    maxlen: number;
    /** A multicast address of either family. */
    group: string;
    port: number;
    ttl: number;
}

/** `tcp/192.0.2.100:80`, `tcp/[2001:db8::1]:80`, `fwm/1`, `fwm6/1`. */
export function serviceKey(id: ServiceIdentity): string {
    return "fwmark" in id
        ? `${id.family === "ipv6" ? "fwm6" : "fwm"}/${id.fwmark}`
        : `${id.protocol}/${hostPort(kernelAddress(id.address), id.port)}`;
}

/**
 * Reads a service's key, in any spelling of its address. A key that came out of a kernel's table may hold what no user
 * may write; pass {@link kernelAddress} as `read` for it.
 */
export function parseServiceKey(key: string, read: (text: string) => string = canonicalAddress): ServiceIdentity {
    const [, kind, rest] = /^([^/]*)\/(.*)$/s.exec(key) ?? [];
    if (kind === "fwm" || kind === "fwm6") {
        const fwmark = /^[1-9]\d*$/.test(rest!) ? Number(rest) : 0;
        const { min, max } = limits.firewallMark;
        if (fwmark < min || fwmark > max) {
            throw new Error(
                `"${key}" names no service: "${rest}" is not a firewall mark, a number from ${min} to ${max}`,
            );
        }
        return { fwmark, family: kind === "fwm6" ? "ipv6" : "ipv4" };
    }
    if (!protocols.includes(kind as Protocol)) {
        throw new Error(
            `"${key}" names no service: expected tcp/192.0.2.100:80, tcp/[2001:db8::1]:80 (or udp/…, sctp/…), fwm/1 or fwm6/1`,
        );
    }
    const { address, port } = within(key, () => parseHostPort(rest!, read));
    if (port === undefined) {
        throw new Error(`"${key}" names no service: the port is missing`);
    }
    return { protocol: kind as Protocol, address, port };
}

/** The family of a service, by its key. */
export function familyOfService(key: string): Family {
    return /^fwm6\/|^[a-z]+\/\[/.test(key) ? "ipv6" : "ipv4";
}

/** Whether the key is a firewall mark's. */
export function isMark(key: string): boolean {
    return /^fwm6?\//.test(key);
}

/** A destination's key: its service's, and where it is: `tcp/192.0.2.100:80/192.0.2.21:80`. */
export function destinationKey(service: string, address: string, port: number): string {
    return `${service}/${hostPort(kernelAddress(address), port)}`;
}

/** Takes a destination's key apart. `read` as for {@link parseServiceKey}. */
export function parseDestinationKey(
    key: string,
    read: (text: string) => string = canonicalAddress,
): { service: string; address: string; port: number } {
    const cut = key.lastIndexOf("/");
    if (key.indexOf("/") === cut) {
        throw new Error(`"${key}" names no real server: expected a service's key, "/" and 192.0.2.21:80`);
    }
    const service = serviceKey(parseServiceKey(key.slice(0, cut), read));
    const { address, port } = within(key, () => parseHostPort(key.slice(cut + 1), read));
    if (port === undefined) {
        throw new Error(`"${key}" names no real server: its port is missing`);
    }
    return { service, address, port };
}

function within<T>(key: string, read: () => T): T {
    try {
        return read();
    } catch (error) {
        throw new Error(`"${key}": ${(error as Error).message}`);
    }
}

/** JSON with every object's members in one order: equal values have equal texts. */
export function canonicalJson(value: unknown): string {
    return JSON.stringify(value, (_, member: unknown) =>
        member !== null && typeof member === "object" && !Array.isArray(member)
            ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
            : member,
    );
}

/** Whether two canonical values say the same. */
export function sameValue(a: unknown, b: unknown): boolean {
    return canonicalJson(a) === canonicalJson(b);
}

/** The destination's family has to be its service's, except through a tunnel (ip_vs_ctl.c; ipvsadm refuses it too). */
export function mayMixFamilies(forwarding: Forwarding): boolean {
    return forwarding === "tun";
}

/**
 * The only port that a real server can have: dr and tun leave the packet as it is, so it is the service's, and ipvsadm
 * writes that one whatever it was told. Undefined where any port goes: by nat, and under a mark.
 */
export function forcedPort(service: string, forwarding: Forwarding): number | undefined {
    if (forwarding === "nat" || isMark(service)) {
        return undefined;
    }
    const id = parseServiceKey(service, kernelAddress);
    return "port" in id ? id.port : undefined;
}

/** Whether two addresses can meet in one rule. */
export function sameFamily(service: string, address: string): boolean {
    return familyOfService(service) === familyOf(address);
}

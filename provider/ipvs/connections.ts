/** The numbers of connections, as the kernel counts them: never part of a value. */
import * as ipaddr from "ipaddr.js";
import { hostPort, kernelAddress } from "./address";
import { headerLength, protocolListed } from "./heading";
import { type Line, linesOf, reading, unreadable, Words } from "./lines";
import { familyOfService, isMark, parseDestinationKey, serviceKey } from "./model";

const CONNECTIONS = "/proc/net/ip_vs";

export interface Connections {
    active: number;
    inactive: number;
}

export interface ConnectionCounts extends Connections {
    weight: number;
}

/**
 * /proc/net/ip_vs: the number of connections of every destination, without starting a process. Addresses are
 * hexadecimal there. It prints a mark without its family, so a block of a mark counts for the family that its real
 * servers show; where all of them are tunnels, which may mix families, it counts for both, and never for too little.
 */
export function parseConnections(text: string): Map<string, ConnectionCounts> {
    const lines = linesOf(CONNECTIONS, text);
    const counts = new Map<string, ConnectionCounts>();
    const blocks: { services: string[]; entries: { name: string; forwarding: string; count: ConnectionCounts }[] }[] =
        [];
    for (const line of lines.slice(headerLength(CONNECTIONS, lines))) {
        const words = new Words(line);
        if (words.take("->")) {
            const block = blocks.at(-1);
            if (block === undefined) {
                throw unreadable(line, "a real server before any service");
            }
            const name = hostPort(...hexAddressAndPort(line, words.next("the real server's address")));
            const forwarding = words.next("the forwarding method");
            const weight = words.number("the weight");
            const active = words.number("the number of active connections");
            const inactive = words.number("the number of inactive connections");
            words.end();
            block.entries.push({ name, forwarding, count: { active, inactive, weight } });
        } else {
            blocks.push({ services: procServices(words), entries: [] });
            if (!/^[\w-]+( ops)?( persistent \d+ [0-9A-F]{8})?$/i.test(words.rest())) {
                throw unreadable(line, "this does not describe a service");
            }
        }
    }
    for (const { services, entries } of blocks) {
        const native = entries.find((entry) => entry.forwarding !== "Tunnel");
        const family = native === undefined ? undefined : native.name.startsWith("[") ? "ipv6" : "ipv4";
        for (const service of services) {
            if (isMark(service) && family !== undefined && familyOfService(service) !== family) {
                continue;
            }
            for (const { name, count } of entries) {
                const key = `${service}/${name}`;
                const before = counts.get(key);
                counts.set(key, {
                    active: Math.max(count.active, before?.active ?? 0),
                    inactive: Math.max(count.inactive, before?.inactive ?? 0),
                    weight: count.weight,
                });
            }
        }
    }
    return counts;
}

/** The services that a line of /proc/net/ip_vs may mean: one, or a mark in either family. */
function procServices(words: Words): string[] {
    const word = words.next("the protocol");
    if (word === "FWM") {
        const mark = words.next("the mark");
        if (!/^[0-9A-F]{8}$/i.test(mark)) {
            throw unreadable(words.line, `"${mark}" is not a firewall mark`);
        }
        const fwmark = Number.parseInt(mark, 16);
        return (["ipv4", "ipv6"] as const).map((family) => serviceKey({ fwmark, family }));
    }
    const protocol = protocolListed(words.line, word);
    const [address, port] = hexAddressAndPort(words.line, words.next("the service's address"));
    return [serviceKey({ protocol, address, port })];
}

/** `C0000264:0050`, `[2001:0db8:0000:0000:0000:0000:0000:0001]:0050`. */
function hexAddressAndPort(line: Line, word: string): [address: string, port: number] {
    const v4 = /^([0-9A-F]{8}):([0-9A-F]{4})$/i.exec(word);
    const v6 = /^\[([0-9a-f:]+)\]:([0-9A-F]{4})$/i.exec(word);
    const match = v4 ?? v6;
    if (match === null) {
        throw unreadable(line, `"${word}" is not an address and a port`);
    }
    const port = Number.parseInt(match[2]!, 16);
    return [v4 ? dotted(v4[1]!) : reading(line, () => kernelAddress(match[1]!)), port];
}

function dotted(hex: string): string {
    return [0, 2, 4, 6].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");
}

/** States of connections that may go on. udp has but one: an entry that has not expired. */
export type ConnectionState = "ESTABLISHED" | "SYN_RECV" | "UDP";

/** In which states the kernel has connections to a real server that may go on. */
export function liveStates(destination: string): ConnectionState[] {
    const [protocol = ""] = destination.split("/");
    return [
        ...(protocol === "udp" ? [] : (["ESTABLISHED", "SYN_RECV"] as const)),
        ...(protocol === "udp" || protocol.startsWith("fwm") ? (["UDP"] as const) : []),
    ];
}

/**
 * A basic regular expression for the lines of /proc/net/ip_vs_conn that are connections to a real server in a state,
 * whatever service they came by. Port 0 is every port.
 */
export function connectionsTo(destination: string, state: ConnectionState): string {
    const { address, port } = parseDestinationKey(destination, kernelAddress);
    const bytes = ipaddr.parse(address).toByteArray();
    const hex = Buffer.from(bytes).toString("hex");
    const shown = bytes.length === 4 ? hex.toUpperCase() : hex.match(/.{4}/g)!.join(":");
    const portShown = port === 0 ? "[0-9A-F]*" : port.toString(16).toUpperCase().padStart(4, "0");
    return ` ${shown} ${portShown} ${state} `;
}

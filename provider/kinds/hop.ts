import { kernelAddress } from "../ipvs/address";
import { parseDestinationKey } from "../ipvs/model";
import { type Kind, ranks } from "./kind";
import { lines } from "./probe";
import { covers, heldAddresses } from "./route";
import type { HostView, Want } from "./want";

/** Marks our routes, by which they are listed; iproute2 has no name for it. */
export const HOP_PROTOCOL = "147";

/**
 * On a director, the way to a real server of its own segment as a host route by way of the real server itself, keyed by
 * its address. It changes no packet's way, and is needed while connections by dr and by another method share a real
 * server: the kernel keeps one route for each real server of a service (`dest_dst`), made by the first packet after a
 * change, and only dr makes it so that the real server is asked for (FLOWI_FLAG_KNOWN_NH). By a route that nat or tun
 * made, a packet by dr is sent to whoever has the VIP in the segment, which nobody answers: "no route to host". Through
 * a router, as here, either asks for the real server.
 */
export const hopKind: Kind<true> = {
    name: "hop",
    group: "route",
    nature: "thing",
    tool: "ip",
    rank: () => ranks.route,
    read: (probe) => new Map(lines(probe, "route.hops").flatMap((line) => readHop(line))),
    set: (key) => [{ script: ADD_HOP, words: [key, option(key)] }],
    unset: (key) => [{ run: ["ip", option(key), "route", "del", key, "via", key, "proto", HOP_PROTOCOL] }],
    // The connections are gone.
    boot: () => [],
    describe: (key) => `host route to ${key}`,
};

const ADD_HOP = `
d=$(ip "$2" -o route get "$1" | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')
exec ip "$2" route add "$1" via "$1" dev "$d" onlink proto ${HOP_PROTOCOL}`.trim();

/** The routes for real servers, by their keys, that are in a segment of the director's; without a view for all. */
export function hopWants(destinations: string[], view: HostView | undefined): Want[] {
    const addresses = [...new Set(destinations.map((key) => parseDestinationKey(key, kernelAddress).address))];
    return addresses
        .filter((address) => view === undefined || isInSegment(address, view))
        .map((key) => ({ kind: "hop", key, value: true }));
}

function isInSegment(address: string, { probe }: HostView): boolean {
    const networks = lines(probe, address.includes(":") ? "route6" : "route").filter(
        (line) => /^\S+\/\d+ /.test(line) && !line.includes(" via "),
    );
    return networks.some((line) => covers(line, address)) && !heldAddresses(probe).includes(address);
}

function readHop(line: string): [string, true][] {
    const [address, via, router] = line.trim().split(/\s+/);
    return address !== undefined && via === "via" && router === address ? [[address, true]] : [];
}

function option(address: string): string {
    return address.includes(":") ? "-6" : "-4";
}

/** What a host's view says of its network: addresses, routes, settings. Undefined wherever the host does not say. */
import * as ipaddr from "ipaddr.js";
import { type Family, familyOf, fullPrefix, isLoopback, isWithin } from "../ipvs/address";
import { parseAddressKey } from "../kinds/address";
import { lines } from "../kinds/probe";
import { interfaceSysctl } from "../kinds/sysctl";
import type { HostView } from "../kinds/want";

interface Held {
    device: string;
    /** IPv6: never chosen as a source. */
    deprecated: boolean;
}

/** Where a host holds an address. */
export function placesOf(view: HostView, address: string): Held[] {
    return [...(view.objects.get("address") ?? [])].flatMap(([key, value]) => {
        const { device, address: held } = parseAddressKey(key);
        if (held.split(/[/ ]/)[0] !== address) return [];
        return [{ device, deprecated: (value as { deprecated?: boolean }).deprecated === true }];
    });
}

/** Whether a packet to the address stays on the host. */
export function isLocal(view: HostView, address: string): boolean {
    return isLoopback(address) || placesOf(view, address).length > 0;
}

export interface Route {
    device: string | undefined;
    /** The router that packets go through; undefined: straight to the neighbour. */
    gateway: string | undefined;
    network: string;
    prefix: number;
}

/** The routes of the main table. */
export function routesOf(view: HostView, family: Family): Route[] {
    return lines(view.probe, family === "ipv4" ? "route" : "route6").flatMap((line) => {
        const words = line.trim().split(/\s+/);
        const special = /^(unreachable|blackhole|prohibit|throw|broadcast|local|multicast|unicast|anycast)$/;
        if (special.test(words[0] ?? "") && words[0] !== "unicast") return [];
        const to = words[0] === "unicast" ? words[1] : words[0];
        const [network = "", prefix] =
            to === "default" ? [family === "ipv4" ? "0.0.0.0" : "::", "0"] : (to ?? "").split("/");
        if (!ipaddr.isValid(network)) return [];
        const gateway = /\bvia (?:inet6? )?(\S+)/.exec(line)?.[1];
        const device = /\bdev (\S+)/.exec(line)?.[1];
        return [{ network, prefix: Number(prefix ?? fullPrefix(family)), gateway, device }];
    });
}

/** Every best route to an address: several where the route has several next hops or is there more than once. */
export function routesTo(view: HostView, address: string): Route[] {
    const fitting = routesOf(view, familyOf(address)).filter(({ network, prefix }) =>
        isWithin(address, network, prefix),
    );
    const longest = Math.max(...fitting.map(({ prefix }) => prefix));
    return fitting.filter(({ prefix }) => prefix === longest);
}

/** The largest packet that a device sends. */
export function mtuOf(view: HostView, device: string): number | undefined {
    const line = lines(view.probe, "mtu").find((each) => each.startsWith(`${device} `));
    return line === undefined ? undefined : Number(line.split(" ")[1]);
}

/** A running setting. */
export function settingOf(view: HostView, key: string): string | undefined {
    const value = view.objects.get("sysctl")?.get(key);
    return typeof value === "string" ? value : undefined;
}

/** The reverse-path filter that counts on a device: the larger of `all` and the device's own. */
export function reversePathFilter(view: HostView, device: string): number | undefined {
    const own = settingOf(view, interfaceSysctl("ipv4", device, "rp_filter"));
    if (own === undefined) return undefined;
    return Math.max(Number(own), Number(settingOf(view, "net.ipv4.conf.all.rp_filter") ?? 0));
}

/**
 * The netmask of persistence: how much of a client's address counts. One canonical form per mask: a prefix length where
 * there is one, dotted for the IPv4 masks with holes, which the kernel takes (it is an AND, nothing more).
 */
import * as ipaddr from "ipaddr.js";
import { type Family, fullPrefix } from "./address";
import { limits } from "./limits";

export type Netmask = number | string;

/**
 * The canonical form of a mask written as a prefix length (24, "24") or, for IPv4, dotted ("255.255.255.0"). Never
 * handed to ipvsadm as written: `-M 24` on IPv4 is the mask 0.0.0.24 there.
 */
export function canonicalNetmask(mask: Netmask, family: Family): Netmask {
    const length = typeof mask === "number" ? mask : /^\d+$/.test(mask) ? Number(mask) : undefined;
    if (length !== undefined) {
        const { min, max } = family === "ipv6" ? limits.netmaskIpv6 : limits.netmaskIpv4;
        if (!Number.isInteger(length) || length < min || length > max) {
            throw new Error(`${mask} is not a netmask: a prefix length of ${name(family)} is ${min} to ${max}`);
        }
        return length;
    }
    if (family === "ipv6") {
        throw new Error(`"${mask}" is not a netmask: for IPv6 it is a prefix length, 1 to 128`);
    }
    if (!ipaddr.IPv4.isValidFourPartDecimal(mask as string)) {
        throw new Error(`"${mask}" is not a netmask: write a prefix length (24) or four numbers (255.255.255.0)`);
    }
    return ipaddr.IPv4.parse(mask as string).prefixLengthFromSubnetMask() ?? (mask as string);
}

/** The mask that tells every client from every other: the default, and never printed. */
export function hostMask(family: Family): Netmask {
    return fullPrefix(family);
}

/** The word after `-M`: dotted for IPv4, a prefix length for IPv6. */
export function netmaskWord(mask: Netmask, family: Family): string {
    const canonical = canonicalNetmask(mask, family);
    return family === "ipv6" || typeof canonical === "string"
        ? String(canonical)
        : ipaddr.IPv4.subnetMaskFromPrefixLength(canonical).toString();
}

function name(family: Family): string {
    return family === "ipv6" ? "IPv6" : "IPv4";
}

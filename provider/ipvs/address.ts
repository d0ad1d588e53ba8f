/**
 * Addresses as IPVS knows them: a bare IPv4 or IPv6 address, with or without a port. Every address that this project
 * stores, compares or prints has gone through here once, so that two spellings of one address are one key.
 */
import * as ipaddr from "ipaddr.js";

export type Family = "ipv4" | "ipv6";

const FOUR_NUMBERS = /^\d+(\.\d+){3}$/;
const LEADING_ZERO = /(^|\.)0\d/;
const WRITTEN_IN_BASE_TEN = /^(0|[1-9]\d*)(\.(0|[1-9]\d*)){3}$/;

/**
 * The one spelling of an address: IPv4 as four decimal numbers, IPv6 in lower case by RFC 5952. Throws with a text for
 * the person who wrote it: names, ports, prefixes, zone ids, leading zeros and IPv4-mapped addresses are no addresses
 * of a rule.
 */
export function canonicalAddress(text: string): string {
    const address = kernelAddress(text);
    if (isMapped(address)) {
        const inner = (ipaddr.parse(address) as ipaddr.IPv6).toIPv4Address().toString();
        throw new Error(
            `"${text}" is an IPv4-mapped IPv6 address, which no packet carries; write it as "${inner}" (IPVS keeps the two families apart)`,
        );
    }
    return address;
}

/**
 * Like {@link canonicalAddress}, for what a kernel printed: takes IPv4-mapped addresses too, because a rule that
 * somebody else made must be readable whatever it says. The C library prints ::c000:201 as ::192.0.2.1; both spellings
 * end in one here.
 */
export function kernelAddress(text: string): string {
    if (typeof text !== "string" || text === "") {
        throw new Error("an IP address is missing");
    }
    const reason = whyNoAddress(text);
    if (reason !== undefined) {
        throw new Error(`"${text}" is not an IP address: ${reason}`);
    }
    return ipaddr.parse(withoutDots(text)).toString();
}

/** An IPv6 address whose last 32 bits are written with dots, in hexadecimal: ipaddr.js takes ::1.2.3.4 for mapped. */
function withoutDots(text: string): string {
    if (!text.includes(":")) {
        return text;
    }
    return text.replace(/[^:]*\.[^:]*$/, (dotted) => {
        const [a, b, c, d] = ipaddr.IPv4.parse(dotted).octets;
        return `${(a! * 256 + b!).toString(16)}:${(c! * 256 + d!).toString(16)}`;
    });
}

/** Why a text is no bare IP address; undefined if it is one. */
function whyNoAddress(text: string): string | undefined {
    if (/\s/.test(text)) {
        return "it contains white space";
    }
    if (text.includes("/")) {
        return "it carries a prefix length; a rule holds one address, without any";
    }
    if (text.includes("%")) {
        return "it carries a zone id; link-local addresses cannot stand in an IPVS rule";
    }
    if (/^\[.*\]$/.test(text)) {
        return "write it without brackets";
    }
    if (/^\[.*\]:/.test(text) || /^[^:]+:\d*$/.test(text)) {
        return "it carries a port; a port has a field of its own";
    }
    if (text.includes(":")) {
        return isIpv6(text) ? undefined : "IPv6 is at most eight groups of one to four hexadecimal digits";
    }
    if (FOUR_NUMBERS.test(text) && LEADING_ZERO.test(text)) {
        return "a number has a leading zero, which some programs read as octal and others as decimal";
    }
    if (WRITTEN_IN_BASE_TEN.test(text)) {
        return ipaddr.IPv4.isValid(text) ? undefined : "each of the four numbers is at most 255";
    }
    return /^[0-9.]+$|^0x/i.test(text)
        ? "IPv4 is four decimal numbers with dots between them"
        : "names are not looked up, because a rule in the kernel holds an address";
}

/** ipaddr.js takes groups of more than four digits and embedded IPv4 with leading zeros; RFC 4291 takes neither. */
function isIpv6(text: string): boolean {
    const embedded = /[^:]*\.[^:]*$/.exec(text)?.[0];
    return (
        /^[0-9a-f:.]+$/i.test(text) &&
        !/[0-9a-f]{5}/i.test(text) &&
        (embedded === undefined || (WRITTEN_IN_BASE_TEN.test(embedded) && ipaddr.IPv4.isValid(embedded))) &&
        ipaddr.IPv6.isValid(text)
    );
}

function isMapped(address: string): boolean {
    const parsed = ipaddr.parse(address);
    return parsed.kind() === "ipv6" && (parsed as ipaddr.IPv6).isIPv4MappedAddress();
}

/**
 * A network as a packet filter keeps it: without the bits behind its prefix, and one host without a prefix. Undefined:
 * no network.
 */
export function networkOf(text: string): string | undefined {
    const [base = "", length, ...more] = text.split("/");
    if (text.length > 50 || more.length > 0 || whyNoAddress(base) !== undefined) return undefined;
    const address = kernelAddress(base);
    const most = fullPrefix(familyOf(address));
    if (length === undefined || length === String(most)) return address;
    if (!/^\d{1,3}$/.test(length) || Number(length) > most) return undefined;
    const cidr = `${address}/${length}`;
    const network = most === 32 ? ipaddr.IPv4.networkAddressFromCIDR(cidr) : ipaddr.IPv6.networkAddressFromCIDR(cidr);
    return `${network.toString()}/${length}`;
}

/** Whether {@link canonicalAddress} takes the text. */
export function isAddress(text: string): boolean {
    try {
        canonicalAddress(text);
        return true;
    } catch {
        return false;
    }
}

/** The family of an address that is one. */
export function familyOf(address: string): Family {
    return address.includes(":") ? "ipv6" : "ipv4";
}

/** The length of a prefix that covers one address: 32 or 128. */
export function fullPrefix(family: Family): number {
    return family === "ipv6" ? 128 : 32;
}

/**
 * Whether the kernel can take the address as a real server's: not 0.0.0.0, 255.255.255.255, multicast, `::` or IPv6
 * link-local (net/netfilter/ipvs/ip_vs_ctl.c, `ip_vs_new_dest`; tried on 6.1). The broadcast address of a subnet is
 * refused too, and all of 0.0.0.0/8 by kernels before 5.3, which only the host can tell.
 */
export function isUnicast(address: string): boolean {
    if (familyOf(address) === "ipv4") {
        return address !== "0.0.0.0" && !["broadcast", "multicast"].includes(ipaddr.parse(address).range());
    }
    return !["unspecified", "multicast", "linkLocal"].includes(ipaddr.parse(address).range());
}

/** Whether it is a group of hosts. */
export function isMulticast(address: string): boolean {
    return ipaddr.parse(address).range() === "multicast";
}

/** Whether packets to it never leave their host. */
export function isLoopback(address: string): boolean {
    return address.startsWith("127.") || address === "::1";
}

/** Whether it is an IPv6 address that means something on one interface alone. */
export function isLinkLocal(address: string): boolean {
    return familyOf(address) === "ipv6" && ipaddr.parse(address).range() === "linkLocal";
}

/** Whether a network, one address where it has no prefix, holds the address; what is no network holds none. */
export function isWithin(address: string, network: string, prefix = fullPrefix(familyOf(network))): boolean {
    if (!ipaddr.isValid(network) || familyOf(network) !== familyOf(address)) return false;
    return ipaddr.parse(address).match(ipaddr.parse(network) as ipaddr.IPv4, prefix);
}

/** A network as the kernel keeps it: what its prefix does not cover is 0, and one address has a prefix, too. */
export function kernelNetwork(text: string): string {
    const [base = "", length] = text.split("/");
    const address = kernelAddress(base);
    const family = familyOf(address);
    const prefix = length ?? fullPrefix(family);
    const { IPv4, IPv6 } = ipaddr;
    return `${(family === "ipv6" ? IPv6 : IPv4).networkAddressFromCIDR(`${address}/${prefix}`)}/${prefix}`;
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`: as ipvsadm prints it, and the only form that it reads for IPv6. */
export function hostPort(address: string, port: number | string): string {
    return familyOf(address) === "ipv6" ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Reads `192.0.2.21`, `192.0.2.21:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. `2001:db8::1:80` is an
 * address whose last group is 80: without brackets an IPv6 address has no port.
 */
export function parseHostPort(
    text: string,
    read: (text: string) => string = canonicalAddress,
): { address: string; port?: number } {
    const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
    const plain = /^([^:[\]]*):([^:]*)$/.exec(text);
    const [, address, port] = bracketed ?? plain ?? [text, text];
    if (bracketed && familyOf(bracketed[1]!) !== "ipv6") {
        throw new Error(`"${text}": brackets are for IPv6 addresses`);
    }
    return port === undefined ? { address: read(address!) } : { address: read(address!), port: parsePort(port, text) };
}

function parsePort(text: string, whole: string): number {
    const port = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : Number.NaN;
    if (!(port <= 65535)) {
        throw new Error(`"${whole}": "${text}" is not a port; a port is a number from 0 to 65535`);
    }
    return port;
}

import { type Action, DEVICE_PREFIX, type Kind, ranks } from "./kind";
import { lines } from "./probe";

/**
 * `deprecated` (IPv6 only): the address is never chosen as a source. A VIP added plainly on a director becomes the
 * source of the outer tunnel header, and the real server, which has the same VIP, drops that silently.
 */
type AddressValue = { deprecated: boolean };

/** An address on a device, keyed `lo/192.0.2.100/32`. A VIP on a network is announced when it is set. */
export const addressKind: Kind<AddressValue> = {
    name: "address",
    nature: "thing",
    tool: "ip",
    rank: () => ranks.address,
    read: (probe) =>
        new Map(
            lines(probe, "address").flatMap((line): [string, AddressValue][] => {
                const match = /^\d+:\s+([^\s@]+)(?:@\S+)?\s+inet6?\s+(\S+)(?:\s+peer\s+(\S+))?\s(.*)$/.exec(line);
                if (match === null) return [];
                const [, device = "", address = "", peer, flags = ""] = match;
                const key = `${device}/${peer === undefined ? withPrefix(address) : `${address} ${peer}`}`;
                return [[key, { deprecated: /\bdeprecated\b/.test(flags) }]];
            }),
        ),
    set: (key, want, have) => {
        const { device, address, family } = parseAddressKey(key);
        // `replace` alone does not make a preferred address deprecated or the reverse on every iproute2.
        const flags = family === "ipv6" ? ["nodad", "preferred_lft", want.deprecated ? "0" : "forever"] : [];
        const add: Action = {
            run: ["ip", "addr", have === undefined ? "add" : "change", address, "dev", device, ...flags],
        };
        return announced(device) ? [add, { script: ANNOUNCE, words: [device, plain(address)] }] : [add];
    },
    unset: (key) => {
        const { device, address } = parseAddressKey(key);
        return [{ run: ["ip", "addr", "del", address, "dev", device] }];
    },
    boot: (key, want) => {
        const { device, address } = parseAddressKey(key);
        const set = addressKind.set(key, want, undefined);
        return announced(device) ? [{ script: UNANSWERED, words: [device, plain(address)] }, ...set] : set;
    },
    describe: (key) => {
        const { device, address } = parseAddressKey(key);
        return `address ${address} on ${device}`;
    },
};

/** The key of a host address (prefix 32 or 128) on a device. */
export function addressKey(device: string, address: string): string {
    return `${device}/${address}/${address.includes(":") ? 128 : 32}`;
}

/** A key's parts. */
export function parseAddressKey(key: string): { device: string; address: string; family: "ipv4" | "ipv6" } {
    const at = key.indexOf("/");
    const address = key.slice(at + 1);
    return { device: key.slice(0, at), address, family: address.includes(":") ? "ipv6" : "ipv4" };
}

function withPrefix(address: string): string {
    if (address.includes("/")) return address;
    return `${address}/${address.includes(":") ? 128 : 32}`;
}

function plain(address: string): string {
    return address.slice(0, address.indexOf("/"));
}

function announced(device: string): boolean {
    return device !== "lo" && !device.startsWith(DEVICE_PREFIX);
}

/**
 * Tells the segment where the address is now: gratuitous ARP, in the background, closed off from the caller's channels.
 * An IPv6 address is told by a neighbour solicitation from it for each router, which updates their caches.
 */
const ANNOUNCE = `
case $2 in
*:*) for r in $(ip -6 neigh show dev "$1" 2>/dev/null | sed -n 's/^\\([^ ]*\\) .*lladdr.*/\\1/p' | head -n 16); do
        (ping -6 -c 1 -W 1 -I "$2" "$r" >/dev/null 2>&1 &)
    done ;;
*) command -v arping >/dev/null 2>&1 || { echo "warning: no arping: $2 is not announced" >&2; exit 0; }
    (arping -q -U -c 3 -I "$1" "$2" >/dev/null 2>&1 &) ;;
esac
exit 0`.trim();

/** Fails when somebody on the segment answers for the address (RFC 5227 probe). */
const UNANSWERED = `
case $2 in *:*) exit 0 ;; esac
command -v arping >/dev/null 2>&1 || exit 0
arping -q -D -c 2 -w 3 -I "$1" "$2" || { echo "$2 is answered for on $1 by another host: not added" >&2; exit 1; }`.trim();

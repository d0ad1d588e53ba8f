/** What wrapping costs: the bytes in front of a packet, by tunnel type, checksum and outer family. */
import { type Family, familyOf } from "./address";
import type { TunnelChecksum, TunnelType, TunnelValue } from "./model";

/** ip_vs_xmit.c takes the same from the route's MTU in __ip_vs_get_out_rt: what it does not fit is answered by ICMP. */
const headers: Record<TunnelType, Partial<Record<TunnelChecksum, number>>> = {
    ipip: { none: 0 },
    // UDP 8, GUE 4; GUE_LEN_PRIV 4 and GUE_PLEN_REMCSUM 4 (gue.h).
    gue: { none: 12, csum: 12, remcsum: 20 },
    // gre_calc_hlen (gre.h): 4, and 4 for a checksum.
    gre: { none: 4, csum: 8 },
};

/** struct iphdr, struct ipv6hdr: IPVS sets no options. */
const outer: Record<Family, number> = { ipv4: 20, ipv6: 40 };

/** Bytes that the director puts in front of each packet for a real server. */
export function tunnelOverhead({ type, checksum }: Pick<TunnelValue, "type" | "checksum">, address: string): number {
    return outer[familyOf(address)] + headers[type][checksum]!;
}

/** IP and TCP header without options, which a segment's size leaves out (RFC 9293, 3.7.1). */
const segmentHeaders: Record<Family, number> = { ipv4: 40, ipv6: 60 };

/** The largest TCP segment for a VIP whose packet, wrapped for this real server, fits the MTU between the two. */
export function largestSegment(mtu: number, tunnel: TunnelValue, address: string, vip: string): number {
    return mtu - tunnelOverhead(tunnel, address) - segmentHeaders[familyOf(vip)];
}

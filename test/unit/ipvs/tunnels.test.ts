import type { TunnelValue } from "../../../provider/ipvs/model";
import { largestSegment, tunnelOverhead } from "../../../provider/ipvs/tunnels";

const tunnel = (type: TunnelValue["type"], checksum: TunnelValue["checksum"] = "none"): TunnelValue => ({
    type,
    checksum,
    port: type === "gue" ? 6080 : null,
});

test.each<[TunnelValue, number]>([
    [tunnel("ipip"), 0],
    [tunnel("gue"), 12],
    [tunnel("gue", "csum"), 12],
    [tunnel("gue", "remcsum"), 20],
    [tunnel("gre"), 4],
    [tunnel("gre", "csum"), 8],
])("%j adds its headers to those of the outer packet, of either family", (value, bytes) => {
    expect(tunnelOverhead(value, "192.0.2.21")).toBe(20 + bytes);
    expect(tunnelOverhead(value, "2001:db8::21")).toBe(40 + bytes);
});

test("the largest segment leaves room for both outer and inner headers, each by its own family", () => {
    expect(largestSegment(1500, tunnel("ipip"), "192.0.2.21", "192.0.2.100")).toBe(1440);
    expect(largestSegment(1500, tunnel("ipip"), "2001:db8::21", "2001:db8::100")).toBe(1400);
    expect(largestSegment(1500, tunnel("ipip"), "192.0.2.21", "2001:db8::100")).toBe(1420);
    expect(largestSegment(1500, tunnel("gue", "remcsum"), "2001:db8::21", "192.0.2.100")).toBe(1400);
});

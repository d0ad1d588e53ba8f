import * as fc from "fast-check";
import { canonicalNetmask, hostMask, netmaskWord } from "../../../provider/ipvs/netmask";
import { ipv4 } from "./arbitraries";

test.each([
    [24, "ipv4", 24],
    ["24", "ipv4", 24],
    ["255.255.255.0", "ipv4", 24],
    ["255.255.255.255", "ipv4", 32],
    ["0.0.0.0", "ipv4", 0],
    ["128.0.0.0", "ipv4", 1],
    ["255.0.255.0", "ipv4", "255.0.255.0"],
    ["0.0.0.24", "ipv4", "0.0.0.24"],
    [64, "ipv6", 64],
    ["128", "ipv6", 128],
    [1, "ipv6", 1],
] as const)("%j (%s) is %j", (mask, family, expected) => {
    expect(canonicalNetmask(mask, family)).toBe(expected);
});

test.each([
    [33, "ipv4", "0 to 32"],
    [-1, "ipv4", "0 to 32"],
    [24.5, "ipv4", "0 to 32"],
    [Number.NaN, "ipv4", "0 to 32"],
    [0, "ipv6", "1 to 128"],
    [129, "ipv6", "1 to 128"],
    ["255.255.255.0", "ipv6", "prefix length"],
    ["255.255.255", "ipv4", "four numbers"],
    ["255.255.255.256", "ipv4", "not a netmask"],
    ["255.255.0255.0", "ipv4", "four numbers"],
    ["/24", "ipv4", "four numbers"],
    ["", "ipv4", "four numbers"],
    ["ffff::", "ipv6", "prefix length"],
] as const)("%j is no netmask of %s", (mask, family, reason) => {
    expect(() => canonicalNetmask(mask, family)).toThrow(reason);
});

test("ipvsadm gets an IPv4 mask dotted (a bare 24 would be the mask 0.0.0.24) and an IPv6 one as a length", () => {
    expect(netmaskWord(24, "ipv4")).toBe("255.255.255.0");
    expect(netmaskWord(0, "ipv4")).toBe("0.0.0.0");
    expect(netmaskWord("255.0.255.0", "ipv4")).toBe("255.0.255.0");
    expect(netmaskWord(64, "ipv6")).toBe("64");
});

test("the host's own mask is the default", () => {
    expect(hostMask("ipv4")).toBe(32);
    expect(hostMask("ipv6")).toBe(128);
});

test("a mask and its canonical form are the same word", () => {
    fc.assert(fc.property(ipv4, (mask) => netmaskWord(canonicalNetmask(mask, "ipv4"), "ipv4") === mask));
});

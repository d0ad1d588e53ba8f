import { isIP } from "node:net";
import * as fc from "fast-check";
import {
    canonicalAddress,
    familyOf,
    hostPort,
    isAddress,
    isUnicast,
    kernelAddress,
    parseHostPort,
} from "../../../provider/ipvs/address";
import { ipv4, ipv6 } from "./arbitraries";

describe("one address has one spelling", () => {
    test.each([
        ["192.0.2.1", "192.0.2.1"],
        ["2001:DB8::1", "2001:db8::1"],
        ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
        ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
        ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
        ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
        ["::", "::"],
        ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
        ["::192.0.2.1", "::c000:201"],
    ])("%s is %s", (text, expected) => {
        expect(canonicalAddress(text)).toBe(expected);
    });

    test("canonical addresses stay as they are, and hold what they held", () => {
        fc.assert(
            fc.property(fc.oneof(ipv4, ipv6), (address) => {
                expect(canonicalAddress(address)).toBe(address);
                expect(isIP(address)).toBe(familyOf(address) === "ipv6" ? 6 : 4);
            }),
        );
    });

    test("every spelling of an IPv6 address comes out the same", () => {
        fc.assert(
            fc.property(fc.ipV6(), (text) => {
                const mapped = kernelAddress(text).startsWith("::ffff:") && !isAddress(text);
                if (!mapped) {
                    expect(new URL(`http://[${text}]`).hostname).toBe(`[${canonicalAddress(text)}]`);
                }
            }),
            { numRuns: 1000 },
        );
    });
});

describe("what is no address is refused with the reason", () => {
    test.each([
        ["", "missing"],
        ["192.0.2.010", "leading zero"],
        ["192.0.02.1", "leading zero"],
        ["00.0.0.1", "leading zero"],
        ["192.0.2.256", "at most 255"],
        ["192.0.2", "four decimal numbers"],
        ["3221225985", "four decimal numbers"],
        ["0xc0.0.2.1", "four decimal numbers"],
        ["192.0.2.1/24", "prefix"],
        ["2001:db8::1/64", "prefix"],
        ["fe80::1%eth0", "zone id"],
        ["::ffff:192.0.2.1", 'write it as "192.0.2.1"'],
        ["::ffff:c000:201", 'write it as "192.0.2.1"'],
        ["[2001:db8::1]", "brackets"],
        ["[2001:db8::1]:80", "port"],
        ["192.0.2.1:80", "port"],
        ["web1:80", "port"],
        ["web1.example.com", "names are not looked up"],
        ["localhost", "names are not looked up"],
        ["2001:db8::1::2", "eight groups"],
        ["2001:db8:1:2:3:4:5:6:7", "eight groups"],
        ["2001:0db8a::1", "eight groups"],
        ["00001::1", "eight groups"],
        ["2001:db8::g", "eight groups"],
        ["64:ff9b::192.0.2.010", "eight groups"],
        ["64:ff9b::192.0.2.256", "eight groups"],
        [" 192.0.2.1", "white space"],
        ["192.0.2.1\n", "white space"],
    ])("%j", (text, reason) => {
        expect(() => canonicalAddress(text)).toThrow(reason);
        expect(isAddress(text)).toBe(false);
    });

    test("nothing is taken that the system's own parser refuses", () => {
        const almost = fc.oneof(
            fc.string({ maxLength: 20 }),
            fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.%[]/x "), maxLength: 40 }),
            ipv6.map((text) => text.replace(":", "::")),
            ipv4.map((text) => `0${text}`),
        );
        fc.assert(
            fc.property(almost, (text) => {
                expect(!isAddress(text) || isIP(text) !== 0).toBe(true);
            }),
            { numRuns: 2000 },
        );
    });
});

test("a rule of somebody else may hold an IPv4-mapped address, and is still read", () => {
    expect(kernelAddress("::ffff:192.0.2.1")).toBe("::ffff:c000:201");
});

test.each([
    ["192.0.2.21", true],
    ["10.0.0.1", true],
    ["127.0.0.1", true],
    ["169.254.1.1", true],
    ["240.0.0.1", true],
    ["0.0.0.0", false],
    ["0.1.2.3", true],
    ["255.255.255.255", false],
    ["224.0.0.81", false],
    ["2001:db8::1", true],
    ["fd00::1", true],
    ["::1", true],
    ["::", false],
    ["ff02::1", false],
    ["fe80::1", false],
    ["febf::1", false],
])("the kernel takes %s as a real server: %s", (address, expected) => {
    expect(isUnicast(address)).toBe(expected);
});

describe("an address with a port", () => {
    test.each([
        ["192.0.2.21", { address: "192.0.2.21" }],
        ["192.0.2.21:80", { address: "192.0.2.21", port: 80 }],
        ["192.0.2.21:0", { address: "192.0.2.21", port: 0 }],
        ["2001:DB8::1", { address: "2001:db8::1" }],
        ["2001:db8::1:80", { address: "2001:db8::1:80" }],
        ["[2001:db8::1]", { address: "2001:db8::1" }],
        ["[2001:DB8::1]:65535", { address: "2001:db8::1", port: 65535 }],
    ])("%s is read", (text, expected) => {
        expect(parseHostPort(text)).toEqual(expected);
    });

    test.each([
        ["192.0.2.21:", "not a port"],
        ["192.0.2.21:65536", "not a port"],
        ["192.0.2.21:080", "not a port"],
        ["192.0.2.21:-1", "not a port"],
        ["192.0.2.21:http", "not a port"],
        ["192.0.2.21:8.5", "not a port"],
        ["[2001:db8::1]:", "not a port"],
        ["[2001:db8::1]80", "not an IP address"],
        ["[192.0.2.21]:80", "brackets are for IPv6"],
        ["[]:80", "brackets are for IPv6"],
        ["[2001:db8::1", "not an IP address"],
        [":80", "missing"],
        ["", "missing"],
        ["192.0.2.21:80:90", "not an IP address"],
    ])("%j is refused", (text, reason) => {
        expect(() => parseHostPort(text)).toThrow(reason);
    });

    test("is printed and read back", () => {
        fc.assert(
            fc.property(fc.oneof(ipv4, ipv6), fc.integer({ min: 0, max: 65535 }), (address, port) => {
                expect(parseHostPort(hostPort(address, port))).toEqual({ address, port });
                expect(parseHostPort(address)).toEqual({ address });
            }),
        );
    });
});

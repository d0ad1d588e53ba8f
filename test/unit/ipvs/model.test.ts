import { kernelAddress } from "../../../provider/ipvs/address";
import {
    canonicalJson,
    destinationKey,
    familyOfService,
    forcedPort,
    isMark,
    parseDestinationKey,
    parseServiceKey,
    sameValue,
    serviceKey,
} from "../../../provider/ipvs/model";

describe("a key names one object", () => {
    test.each([
        ["tcp/192.0.2.100:80", { protocol: "tcp", address: "192.0.2.100", port: 80 }, "ipv4"],
        ["udp/192.0.2.100:0", { protocol: "udp", address: "192.0.2.100", port: 0 }, "ipv4"],
        ["tcp/[2001:db8::1]:80", { protocol: "tcp", address: "2001:db8::1", port: 80 }, "ipv6"],
        ["sctp/[2001:db8::1]:9", { protocol: "sctp", address: "2001:db8::1", port: 9 }, "ipv6"],
        ["fwm/1", { fwmark: 1, family: "ipv4" }, "ipv4"],
        ["fwm6/1", { fwmark: 1, family: "ipv6" }, "ipv6"],
        ["fwm/4294967295", { fwmark: 4294967295, family: "ipv4" }, "ipv4"],
    ] as const)("%s, there and back", (key, id, family) => {
        expect(parseServiceKey(key)).toEqual(id);
        expect(serviceKey(id)).toBe(key);
        expect(familyOfService(key)).toBe(family);
        expect(isMark(key)).toBe("fwmark" in id);
    });

    test("two spellings of an address are one key", () => {
        expect(serviceKey(parseServiceKey("tcp/[2001:0DB8:0::1]:80"))).toBe("tcp/[2001:db8::1]:80");
        expect(destinationKey("fwm/1", "2001:DB8::1", 0)).toBe("fwm/1/[2001:db8::1]:0");
    });

    test.each([
        ["tcp/192.0.2.100", "port is missing"],
        ["tcp/2001:db8::1", "port is missing"],
        ["tcp/192.0.2.100:70000", "not a port"],
        ["tcp/192.0.2.0100:80", "leading zero"],
        ["tcp/[::ffff:192.0.2.1]:80", "IPv4-mapped"],
        ["tcp/web:80", "names are not looked up"],
        ["TCP/192.0.2.100:80", "expected tcp/"],
        ["icmp/192.0.2.100:80", "expected tcp/"],
        ["192.0.2.100:80", "expected tcp/"],
        ["", "expected tcp/"],
        ["fwm/0", "not a firewall mark"],
        ["fwm/-1", "not a firewall mark"],
        ["fwm/0x1", "not a firewall mark"],
        ["fwm/01", "not a firewall mark"],
        ["fwm6/4294967296", "not a firewall mark"],
        ["fwm/", "not a firewall mark"],
        ["fwm4/1", "expected tcp/"],
        ["tcp/192.0.2.100:80/192.0.2.21:80", "not an IP address"],
        ["constructor/1", "expected tcp/"],
    ])("%j names no service, and says why", (key, reason) => {
        expect(() => parseServiceKey(key)).toThrow(reason);
        expect(() => parseServiceKey(key)).toThrow(JSON.stringify(key));
    });

    test("a destination's key holds its service's", () => {
        const key = destinationKey("tcp/[2001:db8::1]:80", "2001:db8::21", 8080);
        expect(key).toBe("tcp/[2001:db8::1]:80/[2001:db8::21]:8080");
        expect(parseDestinationKey(key)).toEqual({
            service: "tcp/[2001:db8::1]:80",
            address: "2001:db8::21",
            port: 8080,
        });
        expect(parseDestinationKey("fwm6/1/192.0.2.21:0")).toEqual({
            service: "fwm6/1",
            address: "192.0.2.21",
            port: 0,
        });
    });

    test.each([
        ["tcp/192.0.2.100:80", "names no real server"],
        ["tcp/192.0.2.100:80/192.0.2.21", "port is missing"],
        ["tcp/192.0.2.100:80/", "missing"],
        ["fwm/1", "names no real server"],
        ["fwm/0/192.0.2.21:80", "not a firewall mark"],
        ["", "names no real server"],
    ])("%j names no destination", (key, reason) => {
        expect(() => parseDestinationKey(key)).toThrow(reason);
    });

    test("a key out of a kernel's table may hold what nobody may declare", () => {
        const key = serviceKey({ protocol: "tcp", address: "::ffff:192.0.2.1", port: 80 });
        expect(key).toBe("tcp/[::ffff:c000:201]:80");
        expect(() => parseServiceKey(key)).toThrow("IPv4-mapped");
        expect(parseServiceKey(key, kernelAddress)).toEqual({ protocol: "tcp", address: "::ffff:c000:201", port: 80 });
    });
});

test("values are equal by what they say, not by the order they say it in", () => {
    expect(canonicalJson({ b: [2, 1], a: { d: null, c: 1 } })).toBe('{"a":{"c":1,"d":null},"b":[2,1]}');
    expect(sameValue({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 })).toBe(true);
    expect(sameValue({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
    expect(sameValue(null, null)).toBe(true);
});

test("the port is the service's for dr and tun, and free by nat and under a mark", () => {
    expect(forcedPort("tcp/192.0.2.100:80", "dr")).toBe(80);
    expect(forcedPort("tcp/[2001:db8::1]:443", "tun")).toBe(443);
    expect(forcedPort("tcp/192.0.2.100:80", "nat")).toBeUndefined();
    expect(forcedPort("fwm/1", "dr")).toBeUndefined();
    expect(forcedPort("fwm6/1", "tun")).toBeUndefined();
});

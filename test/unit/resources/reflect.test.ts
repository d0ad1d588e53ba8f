/** What a refresh found, as the properties that a preview prints. */
import * as fc from "fast-check";
import type { DirectorInputs } from "../../../provider/inputs/director";
import { destinationValue } from "../../../provider/inputs/realServer";
import { type InlineService, serviceValue } from "../../../provider/inputs/service";
import { parseServiceKey } from "../../../provider/ipvs/model";
import type { Value } from "../../../provider/kinds";
import { reflectDirector, reflectGateway, reflectRule, reflectService } from "../../../provider/resources/reflect";
import { destinations, serviceKeys, serviceValues } from "../ipvs/arbitraries";

const found = (entries: Record<string, unknown>) => new Map(Object.entries(entries) as [string, Value | undefined][]);

describe("whatever was found, the shown properties say exactly that:", () => {
    test("a service", () => {
        const cases = serviceKeys.chain((key) => fc.tuple(fc.constant(key), serviceValues(key), serviceValues(key)));
        fc.assert(
            fc.property(cases, ([key, first, second]) => {
                const id = parseServiceKey(key);
                const declared = reflectService(id, {} as InlineService, found({ [`service ${key}`]: first }));
                expect(serviceValue(id, declared)).toEqual(first);
                const shown = reflectService(id, declared, found({ [`service ${key}`]: second }));
                expect(serviceValue(id, shown)).toEqual(second);
            }),
        );
    });

    test("a rule", () => {
        const cases = serviceKeys.chain((key) => fc.tuple(destinations(key), destinations(key)));
        fc.assert(
            fc.property(cases, ([[, first], [, second]]) => {
                const declared = reflectRule({}, first);
                expect(destinationValue(declared)).toEqual(first);
                expect(destinationValue(reflectRule(declared, second))).toEqual(second);
            }),
        );
    });
});

test("a default route is shown by its router, one that is gone or goes several ways by none", () => {
    const shown = (route: Value | undefined) =>
        reflectGateway({ gateway: "10.0.0.1" }, new Map([["route ipv4/default", route]])).gateway;
    expect(shown("default via 10.0.0.9 dev eth0 proto dhcp")).toBe("10.0.0.9");
    expect(shown(undefined)).toBeUndefined();
    expect(shown("default proto static nexthop via 10.0.0.8 dev eth0 weight 1")).toBeUndefined();
    expect(reflectGateway({ gateway: "10.0.0.1" }, found({})).gateway).toBe("10.0.0.1");
    const none: { gateway?: string } = {};
    expect(reflectGateway(none, found({ "route ipv4/default": "default via 10.0.0.9 dev eth0" }))).toBe(none);
});

test("what does not differ is shown as it was written", () => {
    const fields: InlineService = { persistence: { netmask: "255.255.255.0" }, realServers: { "192.0.2.21": {} } };
    const id = parseServiceKey("tcp/192.0.2.100:80");
    expect(reflectService(id, fields, found({}))).toEqual(fields);
    expect(reflectService(id, fields, found({ [`service tcp/192.0.2.100:80`]: serviceValue(id, fields) }))).toEqual(
        fields,
    );
});

test("an inline real server that is gone is left out, and another's weight is that of the kernel", () => {
    const id = parseServiceKey("tcp/192.0.2.100:80");
    const fields: InlineService = { realServers: { "192.0.2.21": { weight: 3 }, "192.0.2.22": { forwarding: "nat" } } };
    const key = "destination tcp/192.0.2.100:80";
    expect(
        reflectService(
            id,
            fields,
            found({
                [`${key}/192.0.2.21:80`]: undefined,
                [`${key}/192.0.2.22:80`]: { ...destinationValue({ forwarding: "nat" }), weight: 9 },
            }),
        ),
    ).toEqual({ realServers: { "192.0.2.22": { forwarding: "nat", weight: 9 } } });
});

test("a director's own fields and its inline services", () => {
    const inputs = {
        name: "lb1",
        connection: "lb1",
        ipForward: true,
        connTabBits: 16,
        timeouts: { tcp: 900, udp: 60 },
        sysctls: { "net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.conntrack": "1" },
        masquerade: [{ source: "10.0.0.0/8" }, { source: "fd00::/8" }],
        sync: { master: { interface: "eth0" }, backup: { interface: "eth0" } },
        ftp: { ports: [21] },
        virtualServices: { "tcp/192.0.2.100:80": { scheduler: "rr" }, "fwm6/1": {} },
        owner: "o/p/s#Director/lb1",
    } as DirectorInputs;
    const daemon = { interface: "eth1", syncid: 3, maxlen: 1444, group: "224.0.0.81", port: 8848, ttl: 1 };
    expect(reflectDirector(inputs, found({}))).toEqual(inputs);
    expect(
        reflectDirector(
            inputs,
            found({
                "forwarding ipv4": { on: false },
                "parameter ip_vs.conn_tab_bits": "12",
                "parameter ip_vs_ftp.ports": "2121,0,0",
                "timeout udp": 300,
                "sysctl net.ipv4.vs.conntrack": "0",
                "masquerade 10.0.0.0/8 0.0.0.0/0": undefined,
                "sync master": { role: "master", ...daemon },
                "sync backup": undefined,
                "service fwm6/1": undefined,
                "service tcp/192.0.2.100:80": {
                    scheduler: "sh",
                    flags: ["sh-port"],
                    onePacket: false,
                    persistence: null,
                },
            }),
        ),
    ).toEqual({
        ...inputs,
        ipForward: false,
        connTabBits: 12,
        timeouts: { tcp: 900, udp: 300 },
        sysctls: { "net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.conntrack": "0" },
        masquerade: [{ source: "fd00::/8" }],
        sync: { master: daemon },
        ftp: { ports: [2121] },
        virtualServices: { "tcp/192.0.2.100:80": { scheduler: "sh", schedulerFlags: ["sh-port"] } },
    });
});

test("masquerading that is gone is shown so, whichever packet filter it was set by", () => {
    const inputs = {
        name: "lb1",
        connection: "lb1",
        masquerade: [{ source: "10.0.0.0/8" }, { source: "fd00::/8" }],
    } as DirectorInputs;
    for (const [key, left] of [
        ["masquerade iptables 10.0.0.0/8 0.0.0.0/0", "fd00::/8"],
        ["masquerade ip6tables fd00::/8 ::/0", "10.0.0.0/8"],
    ] as const) {
        expect(reflectDirector(inputs, found({ [key]: undefined })).masquerade).toEqual([{ source: left }]);
    }
});

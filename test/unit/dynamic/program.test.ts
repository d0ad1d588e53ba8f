/** What a program says against itself, before any host is asked. */
import { contradictions } from "../../../provider/dynamic/program";
import { parseInputs } from "../../../provider/inputs/parse";
import type { RealServerInputs } from "../../../provider/inputs/realServer";
import type { VirtualServiceInputs } from "../../../provider/inputs/service";
import { realServer } from "../../../provider/resources/realServer";
import { virtualService } from "../../../provider/resources/virtualService";

const address = { ipv4: "192.0.2.21", ipv6: "2001:db8::21" };
let turn = 0;

/** What is said of these real servers of one program, the last one's part. */
function said(...list: { gateway?: string; connection?: string; family?: keyof typeof address }[]): string[] {
    turn++;
    const director = { name: `lb${turn}`, connection: `lb${turn}`, interface: "eth0" };
    const findings = list.map(({ family = "ipv4", ...more }, index) => {
        const inputs = {
            service: {
                director,
                protocol: "tcp",
                address: family === "ipv6" ? "2001:db8:1::1" : `198.51.100.${index + 1}`,
                port: 80,
            },
            ...{ address: address[family], forwarding: "nat", connection: `web${turn}`, ...more },
            owner: `acme/shop/prod#RealServer/${turn}-${index}`,
        };
        const { value, failures } = parseInputs(realServer.schema, inputs);
        expect(failures).toEqual([]);
        return contradictions(realServer, value as RealServerInputs);
    });
    return findings.at(-1)!.map(({ code, severity, message }) => `${code} ${severity}: ${message}`);
}

test("two gateways of one host are an error that names both, and the other resource", () => {
    expect(said({ gateway: "192.0.2.10" }, { gateway: "192.0.2.11" })).toEqual([
        expect.stringMatching(
            /^LVS-CONTRADICTION error: route ipv4\/default is wanted as default via 192\.0\.2\.11 .* here and as default via 192\.0\.2\.10 .* by .*1-0/,
        ),
    ]);
});

test("one gateway may be wanted by several, none by another, and each family and host has its own", () => {
    expect(said({ gateway: "192.0.2.10" }, { gateway: "192.0.2.10" })).toEqual([]);
    expect(said({ gateway: "192.0.2.10" }, {})).toEqual([]);
    expect(said({ gateway: "192.0.2.10" }, { gateway: "192.0.2.11", connection: "other" })).toEqual([]);
    expect(said({ gateway: "192.0.2.10" }, { gateway: "2001:db8::10", family: "ipv6" })).toEqual([]);
});

describe("a VIP of two services, on directors that are written as", () => {
    const codes = (one: unknown, other: unknown) => {
        turn++;
        return [one, other]
            .map((connection, index) => {
                const { value, failures } = parseInputs(virtualService.schema, {
                    director: { name: `lb${turn}-${index}`, connection, interface: "eth0" },
                    ...{ protocol: "tcp", address: `203.0.113.${turn}`, port: 80 + index },
                    owner: `acme/shop/prod#VirtualService/${turn}-${index}`,
                });
                expect(failures).toEqual([]);
                return contradictions(virtualService, value as VirtualServiceInputs).map(({ code }) => code);
            })
            .at(-1)!;
    };

    test.each([
        ["the same fields in another order", { host: "lb", user: "admin" }, { user: "admin", host: "lb" }],
        ["a default that is said, and left out", { host: "lb" }, { host: "lb", port: 22 }],
        ["two accounts of one host", { host: "lb", user: "admin", sudo: true }, { host: "lb" }],
    ])("%s, is on one", (_, one, other) => expect(codes(one, other)).toEqual([]));

    test.each([
        ["two hosts", { host: "lb" }, { host: "lb2" }],
        ["two ports of a forwarding host", { host: "lb", port: 2201 }, { host: "lb", port: 2202 }],
        ["one address behind two bastions", { host: "lb", proxy: { host: "a" } }, { host: "lb", proxy: { host: "b" } }],
        ["two names", "lb1", "lb2"],
    ])("%s, is on two", (_, one, other) => expect(codes(one, other)).toEqual(["LVS-VIP-TWICE"]));
});

describe("marks of two services on one director, whose ports are", () => {
    const said = (...ports: (number | string)[]) => {
        turn++;
        return ports
            .map((port, index) => {
                const { value, failures } = parseInputs(virtualService.schema, {
                    director: { name: `lb${turn}`, connection: `lb${turn}`, interface: "eth0" },
                    fwmark: index + 1,
                    marks: [{ protocol: "tcp", address: `203.0.113.${turn}`, port }],
                    owner: `acme/shop/prod#VirtualService/${turn}-${index}`,
                });
                expect(failures).toEqual([]);
                return contradictions(virtualService, value as VirtualServiceInputs);
            })
            .at(-1)!
            .map(({ code, message }) => `${code}: ${message}`);
    };

    test.each([
        ["a range, and one in it", "10000-20000", 12345],
        ["ranges that overlap", "10000-20000", "20000-30000"],
    ])("%s, are an error that names both", (_, one, other) => {
        expect(said(one, other)).toEqual([
            expect.stringMatching(
                new RegExp(
                    `^LVS-MARK-TWICE: ipv4/tcp/\\S+/${other} has the mark 1 .* by .*-0 .*/${one}\\).* not 2 too$`,
                ),
            ),
        ]);
    });

    test.each([
        ["ranges beside each other", "10000-19999", "20000-30000"],
        ["a range, and every port, which counts last", "10000-20000", 0],
    ])("%s, are none", (_, one, other) => expect(said(one, other)).toEqual([]));
});

describe("a service beside a mark on the same director", () => {
    const said = (mark: object, service: object, markFirst: boolean) => {
        turn++;
        const director = { name: `lb${turn}`, connection: `lb${turn}`, interface: "eth0" };
        const address = `203.0.113.${turn}`;
        const pair = [
            { fwmark: 7, marks: [{ protocol: "tcp", address, port: 80, ...mark }] },
            { protocol: "tcp", address, port: 80, ...service },
        ];
        return (markFirst ? pair : pair.reverse())
            .map((inputs, index) => {
                const all = { director, ...inputs, owner: `acme/shop/prod#VirtualService/${turn}-${index}` };
                const { value, failures } = parseInputs(virtualService.schema, all);
                expect(failures).toEqual([]);
                return contradictions(virtualService, value as VirtualServiceInputs);
            })
            .at(-1)!
            .map(({ code, severity, message }) => `${code} ${severity}: ${message}`);
    };

    test.each([true, false])(
        "that takes its traffic is warned of, whichever comes first (the mark: %s)",
        (markFirst) => {
            for (const port of [80, 0, "79-81"]) {
                expect(said({ port }, {}, markFirst)).toEqual([
                    expect.stringMatching(
                        /^LVS-MARK-SHADOWS warning: what arrives for tcp\/\S+:80 gets .* mark 7.* by .*-0/,
                    ),
                ]);
            }
        },
    );

    test.each([
        ["another port", { port: "81-90" }, {}],
        ["another protocol", { protocol: "udp" }, {}],
        ["another address", {}, { address: "192.0.2.1" }],
    ])("that takes %s is no trouble", (_, mark, service) => expect(said(mark, service, true)).toEqual([]));
});

/** Plans: what is claimed, shared, restored, refused and taken back. */
import * as fc from "fast-check";
import { kindOf, type Value } from "../../../provider/kinds";
import { TABLE } from "../../../provider/kinds/nftables";
import { defaultRoute, routerOf } from "../../../provider/kinds/route";
import type { Want } from "../../../provider/kinds/want";
import { fileName, UnreadableLedger } from "../../../provider/reconcile/ledger";
import { plan, planUndo, project, type Request, satisfied } from "../../../provider/reconcile/plan";
import { type HostState, holders, valueAt } from "../../../provider/reconcile/state";
import {
    carryOut,
    codeOf,
    deedOf,
    destination,
    inOrder,
    interrupted,
    requestOf,
    SERVICE,
    SYSCTL,
    serverKey,
    service,
    stateOf,
    type Things,
    thingsOf,
    VIP,
    want,
    written,
} from "./world";

const web = "org/shop/prod#VirtualService/web";
const old = "org/shop/prod#VirtualService/old";
const foreignStack = "org/other/prod#VirtualService/web";

const create = (over: Parameters<typeof requestOf>[0]) => requestOf({ creating: true, ...over });
const remove = (over: Parameters<typeof requestOf>[0]) => requestOf({ phase: "delete", ...over });
const serviceWants = (scheduler = "wlc"): Want[] => [
    want("module", "ip_vs", true),
    want("service", SERVICE, service(scheduler)),
    want("destination", serverKey("192.0.2.21"), destination()),
    want("address", VIP, { deprecated: false }),
];
const found: Things = {
    module: { ip_vs: true },
    sysctl: { [SYSCTL]: "0" },
    forwarding: { ipv4: { on: false, interfaces: {} } },
};

describe("one resource", () => {
    test("what it claims is set, and what it releases is as it was found", () => {
        const start = stateOf({ things: found });
        const up = carryOut(create({ wants: [...serviceWants(), want("sysctl", SYSCTL, "1")] }), start);
        expect(valueAt(up, "service", SERVICE)).toEqual(service());
        expect(valueAt(up, "sysctl", SYSCTL)).toBe("1");
        const down = carryOut(remove({}), up);
        expect(thingsOf(down)).toEqual(thingsOf(start));
        expect(down.ledger.size).toBe(0);
    });

    test("its second plan has no step and changes no file", () => {
        const request = create({ wants: [...serviceWants(), want("sysctl", SYSCTL, "1")] });
        const up = carryOut(request, stateOf({ things: found }));
        for (const again of [request, { ...request, creating: false }]) {
            const made = plan(again, up);
            expect(made.steps).toEqual([]);
            expect(made.pending).toBe(0);
            for (const [name, file] of [...made.during, ...made.afterwards]) expect(file).toEqual(up.ledger.get(name));
        }
    });

    test("two wants of one object are one claim and one step", () => {
        const twice = want("forwarding", "ipv4", { on: true });
        const made = plan(create({ wants: [twice, { ...twice }] }), stateOf({ things: found }));
        expect(made.steps).toHaveLength(1);
        expect([...made.afterwards.values()][0]!.claims).toHaveLength(1);
    });

    test("what it does not want any more waits in the claim phase and goes in the next", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const less = serviceWants().filter(({ kind }) => kind !== "address");
        const first = plan(requestOf({ phase: "claim", wants: less }), up);
        expect([first.steps, first.pending]).toEqual([[], 1]);
        const second = plan(requestOf({ wants: less }), written(first.next));
        expect(second.steps.map(({ kind, after }) => [kind, after])).toEqual([["address", undefined]]);
        expect(plan(requestOf({ wants: less }), written(second.next)).pending).toBe(0);
    });

    test("an address that was there before stays when it is released", () => {
        const start = stateOf({ things: { ...found, address: { [VIP]: { deprecated: false } } } });
        const up = carryOut(create({ wants: serviceWants() }), start);
        expect(thingsOf(carryOut(remove({}), up))).toEqual(thingsOf(start));
    });

    test("a rule whose weight somebody moved is removed all the same, a setting that somebody moved is left and told", () => {
        const up = carryOut(
            create({ wants: [...serviceWants(), want("sysctl", SYSCTL, "1")] }),
            stateOf({ things: found }),
        );
        const moved = project(
            up,
            [
                { ...plan(requestOf({ wants: serviceWants("rr") }), up).steps[0]! },
                step("destination", serverKey("192.0.2.21"), destination(7)),
                step("sysctl", SYSCTL, "7"),
            ],
            new Map(),
        );
        const made = plan(remove({}), moved);
        expect(valueAt(made.next, "service", SERVICE)).toBeUndefined();
        expect(valueAt(made.next, "sysctl", SYSCTL)).toBe("7");
        expect(made.notes.join()).toMatch(/left as it is, 7: it was changed since/);
    });

    test("a setting whose change was cut off before it was made is given back all the same", () => {
        const start = stateOf({ things: found });
        let host = carryOut(create({ wants: [want("sysctl", SYSCTL, "1")] }), start);
        for (const value of ["2", "3"]) {
            const changing = requestOf({ wants: [want("sysctl", SYSCTL, value)] });
            host = interrupted(plan(changing, host), host, 0);
            expect(valueAt(host, "sysctl", SYSCTL)).toBe("1");
        }
        expect(valueAt(carryOut(remove({}), host), "sysctl", SYSCTL)).toBe("0");

        const whole = carryOut(requestOf({ wants: [want("sysctl", SYSCTL, "3")] }), host);
        expect([...whole.ledger.values()].flatMap(({ claims }) => claims.map(({ was }) => was))).toEqual([undefined]);
        const moved = project(whole, [step("sysctl", SYSCTL, "1")], new Map());
        expect(plan(remove({}), moved).notes.join()).toMatch(/left as it is, 1: it was changed since/);
    });

    test("a setting that another file of the host asks for is left and told", () => {
        const up = carryOut(create({ wants: [want("sysctl", SYSCTL, "1")] }), stateOf({ things: found }));
        const sections = { facts: up.probe.section("facts"), "sysctl.d": `/etc/sysctl.d/x.conf:${SYSCTL}=1` };
        const asked = { ...up, probe: stateOf({ sections }).probe };
        const made = plan(remove({}), asked);
        expect(made.steps).toEqual([]);
        expect(made.notes.join()).toMatch(/x\.conf sets it too/);
    });

    test("an interface that ceased to forward is one step, where its resource knows how it was found, and then none", () => {
        const request = create({ wants: [want("forwarding", "ipv4", { on: true })] });
        const up = carryOut(request, stateOf({ things: found }));
        const off = { ipv4: { on: true, interfaces: { eth0: { forwarding: "0" } } } };
        const worn = { ...up, objects: stateOf({ things: { ...found, forwarding: off } }).objects };
        const made = plan({ ...request, creating: false }, worn);
        expect(made.steps.map(({ actions }) => actions)).toEqual([
            [{ write: "/proc/sys/net/ipv4/conf/eth0/forwarding", text: "1" }],
        ]);
        expect(plan({ ...request, creating: false }, written(made.next)).steps).toEqual([]);
        // Found so, it is as it shall be.
        expect(carryOut(request, { ...worn, ledger: new Map() }).ledger.size).toBe(1);
        expect(plan(request, { ...worn, ledger: new Map() }).steps).toEqual([]);
    });

    test("what our own leftovers say is not given back: boot unit, table and devices go with the last claim", () => {
        const leftovers: Things = {
            boot: { "pulumi-lvs.service": "1 2 3 4 disabled" },
            table: { [TABLE]: "3 of 4 rules" },
            link: { "lvs-ipip-1234": { type: "ipip", local: "10.0.0.9", up: false } },
        };
        const wants = [
            want("boot", "pulumi-lvs.service", "5 6 7 8 enabled"),
            want("table", TABLE, "1"),
            want("link", "lvs-ipip-1234", { type: "ipip", local: "10.0.0.1" }),
        ];
        const up = carryOut(create({ wants }), stateOf({ things: leftovers }));
        expect(thingsOf(carryOut(remove({}), up))).toEqual({});
    });

    test("a weight that is left to a health checker is neither written nor a reason for a step", () => {
        const key = serverKey("192.0.2.21");
        const wants = [
            want("service", SERVICE, service()),
            { ...want("destination", key, destination(1)), leave: ["weight"] },
        ];
        const up = carryOut(create({ wants }), stateOf({ things: found }));
        const moved = project(up, [step("destination", key, destination(9))], new Map());
        expect(plan(requestOf({ wants }), moved).steps).toEqual([]);
        const other = [wants[0]!, { ...wants[1]!, value: destination(1, "nat") }];
        expect(plan(requestOf({ wants: other }), moved).steps.map(({ after }) => after)).toEqual([
            destination(9, "nat"),
        ]);
    });
});

describe("a default route", () => {
    const ROUTE = "ipv4/default";
    const ours = defaultRoute("10.0.0.1").value;
    const read = "default via 10.0.0.1 dev eth0 proto static";
    const foreign = "default via 10.0.0.9 dev eth0 proto dhcp src 10.0.0.21";
    const wants = [want("route", ROUTE, ours)];
    const having = (route?: string) => stateOf({ things: route === undefined ? {} : { route: { [ROUTE]: route } } });
    /** As the host prints a route once it has it. */
    const looked = (host: HostState, route = read) => project(host, [step("route", ROUTE, route)], new Map());

    test.each([
        ["none", undefined],
        ["another", foreign],
        ["several next hops", "default proto static nexthop via 10.0.0.8 dev eth0 weight 1"],
        ["the same, by another hand", "default via 10.0.0.1 dev eth0 proto dhcp"],
    ])("where the host had %s, it has that again after the last release", (_, before) => {
        const start = having(before);
        let host = looked(carryOut(create({ id: "a", wants }), start), before?.includes("0.1 ") ? before : read);
        host = carryOut(create({ id: "b", wants }), host);
        host = carryOut(remove({ id: "a" }), host);
        expect(routerOf(String(valueAt(host, "route", ROUTE)))).toBe("10.0.0.1");
        expect(thingsOf(carryOut(remove({ id: "b" }), host))).toEqual(thingsOf(start));
    });

    test("another router takes the place of the first, and what was found is still what comes back", () => {
        const up = looked(carryOut(create({ wants }), having(foreign)));
        const other = carryOut(requestOf({ wants: [want("route", ROUTE, defaultRoute("10.0.0.2").value)] }), up);
        expect(routerOf(String(valueAt(other, "route", ROUTE)))).toBe("10.0.0.2");
        expect(valueAt(carryOut(remove({}), other), "route", ROUTE)).toBe(foreign);
    });

    test.each([undefined, foreign])("one that somebody changed since is left and told (found: %s)", (before) => {
        const up = carryOut(create({ wants }), having(before));
        const made = plan(remove({}), looked(up, "default via 10.0.0.7 dev eth0"));
        expect(made.steps).toEqual([]);
        expect(made.notes.join()).toMatch(
            /route ipv4\/default is left as it is, .*10\.0\.0\.7.*: it was changed since/,
        );
    });

    const table =
        "default via 10.0.0.1 dev eth0 proto static\n10.0.0.0/24 dev eth0 scope link\n10.1.0.7 dev eth1 scope link\n";
    const host = { "route.up": "lo\neth0\neth1\n", route: table };
    const held = { "eth0/10.0.0.21/24": { deprecated: false } };
    const release = (before: string, sections: Record<string, string>) => {
        const address = "1: eth0    inet 10.0.0.21/24 scope global eth0\n";
        const things = { address: held, route: { [ROUTE]: before } };
        const up = carryOut(create({ wants }), stateOf({ things, sections: { ...host, address, ...sections } }));
        return plan(remove({}), looked(up));
    };

    test.each([
        ["a device is gone", foreign, { "route.up": "lo\neth1\n" }, "eth0 is not there, or down"],
        ["a tagged device is gone", "default via 10.0.0.9 dev eth1.7", {}, "eth1.7 is not there, or down"],
        [
            "one of several devices is gone",
            "default proto static nexthop via 10.0.0.8 dev eth0 weight 1 nexthop via 10.1.0.7 dev eth1 weight 1",
            { "route.up": "lo\neth0\n" },
            "eth1 is not there, or down",
        ],
        [
            "its source is gone",
            "default via 10.0.0.9 dev eth0 src 10.0.0.22",
            {},
            "the host does not have 10.0.0.22 any more",
        ],
        [
            "its network is gone",
            "default via 10.2.0.9 dev eth0",
            {},
            "10.2.0.9 is on no network of that device any more",
        ],
        ["its router is elsewhere", "default via 10.0.0.9 dev eth1", {}, "10.0.0.9 is on no network of that device"],
    ])("what was found is not asked of a host that cannot take it: %s", (_, before, sections, why) => {
        const made = release(before, sections);
        expect(made.steps).toEqual([]);
        expect(made.notes.join()).toContain(
            `route ipv4/default is left as it is, ${read}: what was found, "${before}", cannot come back: ${why}`,
        );
        expect([...made.afterwards.values()]).toEqual([undefined]);
    });

    test.each([
        foreign,
        "default via 10.1.0.7 dev eth1",
        "default via 10.9.0.1 dev eth0 onlink",
        "default dev eth1 scope link",
        "default proto static nexthop via 10.0.0.8 dev eth0 weight 1 nexthop via 10.9.0.7 dev eth1 weight 1 onlink",
        "unreachable default",
    ])("what was found comes back where the host can take it: %s", (before) => {
        expect(release(before, {}).steps.map(({ after }) => after)).toEqual([before]);
    });

    describe("that our own SSH connection is answered through", () => {
        const facts = (peer: string) => ({ facts: `machine=m1 u1\nrelease=6.1.0\ntool.ip=yes\nssh.peer=${peer}` });
        /** Found, and where we come from; what more routes the host has. */
        const world = (before: string | undefined, peer: string, more = "") => {
            const things: Things = before === undefined ? {} : { route: { [ROUTE]: before } };
            const sections = {
                ...host,
                route: `${table}${more}`,
                ...facts(peer),
                address: "2: eth0    inet 10.0.0.21/24 scope global eth0\n",
            };
            return looked(carryOut(create({ wants }), stateOf({ things, sections })));
        };
        const FAR = "198.51.100.7";

        test.each([undefined, "unreachable default"])(
            "does not go where nothing else leads there (found: %s)",
            (before) => {
                for (const [request, what] of [
                    [remove({}), "destroy"],
                    [requestOf({ phase: "claim" }), "an update, in its first phase"],
                    [requestOf({ phase: "all" }), "an update"],
                ] as const) {
                    const release = () => plan(request, world(before, FAR));
                    expect([what, codeOf(release)]).toEqual([what, "LVS-GATEWAY-SSH"]);
                    expect(release).toThrow(/198\.51\.100\.7.*10\.0\.0\.1.*claims release.*Nothing was touched/s);
                }
            },
        );

        test.each<[string, HostState]>([
            ["what was found leads there, too", world(foreign, FAR)],
            ["a route of its own leads there", world(undefined, FAR, "198.51.100.0/24 via 10.0.0.8 dev eth0\n")],
            [
                "a default route with a worse metric leads there",
                world(undefined, FAR, "default via 10.0.0.8 dev eth0 metric 100\n"),
            ],
            ["we come from a network of the host", world(undefined, "10.0.0.99")],
            ["we come from the host itself", world(undefined, "10.0.0.21")],
            ["we come by IPv6", world(undefined, "2001:db8::7")],
            ["the host does not say from where we come", world(undefined, "")],
        ])("goes where %s", (_, up) => {
            expect(plan(remove({}), up).steps).toHaveLength(1);
        });

        test("stays without a word where somebody else wants it, or has changed it", () => {
            const shared = carryOut(create({ id: "b", wants }), world(undefined, FAR));
            expect(plan(remove({ id: "b" }), shared).steps).toEqual([]);
            const changed = looked(world(undefined, FAR), "default via 10.0.0.7 dev eth0");
            expect(plan(remove({}), changed).notes.join()).toMatch(/it was changed since/);
        });

        test("is none of an update that goes on wanting it, though modules are to be loaded first", () => {
            const up = world(undefined, FAR);
            const more = [...wants, want("module", "ip_vs", true), want("sysctl", SYSCTL, "1")];
            const made = plan(requestOf({ wants: more }), up);
            expect([made.partial, made.steps.map(({ kind }) => kind)]).toEqual([true, ["module"]]);
        });
    });

    test("of IPv6, by its own routes", () => {
        const key = "ipv6/default";
        const before = "default via fe80::9 dev eth0 proto static metric 1 pref medium";
        const want6 = [want("route", key, defaultRoute("fd00::1").value)];
        const stepsWith = (route6: string) => {
            const start = stateOf({ things: { route: { [key]: before } }, sections: { ...host, route6 } });
            return plan(remove({}), carryOut(create({ wants: want6 }), start)).steps.length;
        };
        expect(stepsWith("fd00::/64 dev eth0\nfe80::/64 dev eth0\nfe80::/64 dev eth1\n")).toBe(1);
        expect(stepsWith("fd00::/64 dev eth0\nfe80::/64 dev eth1\n")).toBe(0);
    });

    test("two stacks share one router, and two routers are an error that names both stacks", () => {
        const up = looked(carryOut(create({ wants }), having(foreign)));
        const theirs = (router: string) => {
            const other = [want("route", ROUTE, defaultRoute(router).value)];
            return plan(create({ owner: foreignStack, wants: other }), up);
        };
        expect(theirs("10.0.0.1").steps).toEqual([]);
        expect(codeOf(() => theirs("10.0.0.2"))).toBe("LVS-CLASH");
        expect(() => theirs("10.0.0.2")).toThrow(/10\.0\.0\.1.*org\/other.*10\.0\.0\.2/s);
    });

    test("without a ledger nobody knows what was there before: it is left and told", () => {
        const made = plan(remove({ wants }), having(read));
        expect(made.steps).toEqual([]);
        expect(made.notes.join()).toMatch(/what it was before is not known/);
    });

    test("a failed operation takes it back to nothing or to what was there", () => {
        for (const before of [undefined, foreign]) {
            const made = plan(create({ wants }), having(before));
            const undo = planUndo(deedOf(made, having(before)), looked(written(made.next)));
            expect(thingsOf(undo.next)).toEqual(thingsOf(having(before)));
        }
    });

    test("that is absent is none that a module brings: it does not wait for modules", () => {
        const made = plan(create({ wants: [want("module", "dummy", true), ...wants] }), having());
        expect([made.partial, made.steps.map(({ kind }) => kind)]).toEqual([false, ["module", "route"]]);
    });
});

describe("rules of others", () => {
    const exists = stateOf({ things: { ...found, service: { [SERVICE]: service("rr") } } });

    test("a rule that exists unclaimed is an error that shows both sides", () => {
        expect(codeOf(() => plan(create({ wants: serviceWants() }), exists))).toBe("LVS-EXISTS");
        expect(() => plan(create({ wants: serviceWants() }), exists)).toThrow(/"rr".*"wlc"/s);
    });

    test("a rule that exists unclaimed is an error also where an update begins to want it", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const key = serverKey("192.0.2.99");
        const theirs = project(up, [step("destination", key, destination(5))], new Map());
        const wants = [...serviceWants(), want("destination", key, destination(1))];
        expect(codeOf(() => plan(requestOf({ wants }), theirs))).toBe("LVS-EXISTS");
        expect(plan(requestOf({ wants, adopt: true }), theirs).steps).toHaveLength(1);
    });

    test("with adopt it is ours, set to what is declared, and goes with its last claim", () => {
        const up = carryOut(create({ wants: serviceWants(), adopt: true }), exists);
        expect(valueAt(up, "service", SERVICE)).toEqual(service("wlc"));
        expect(valueAt(carryOut(remove({}), up), "service", SERVICE)).toBeUndefined();
    });

    test("adopting what is already right does nothing to it", () => {
        const made = plan(create({ wants: [want("service", SERVICE, service("rr"))], adopt: true }), exists);
        expect(made.steps).toEqual([]);
    });

    test("a service with real servers that nobody released is not removed, and the error names them", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const theirs = project(up, [step("destination", serverKey("192.0.2.99"), destination())], new Map());
        expect(codeOf(() => plan(remove({}), theirs))).toBe("LVS-FOREIGN-SERVERS");
        expect(() => plan(remove({}), theirs)).toThrow(/192\.0\.2\.99.*nobody/s);
        const made = plan(remove({ deleteForeign: true }), theirs);
        expect(valueAt(made.next, "service", SERVICE)).toBeUndefined();
        expect(valueAt(made.next, "destination", serverKey("192.0.2.99"))).toBeUndefined();
        const back = planUndo(deedOf(made, theirs), written(made.next)).next;
        expect(thingsOf(back)).toEqual(thingsOf(theirs));
    });

    test("a service is not removed under a real server that another resource claims too", () => {
        let host = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        host = carryOut(
            create({
                owner: "org/shop/prod#RealServer/a",
                id: "rs",
                wants: [want("destination", serverKey("192.0.2.21"), destination())],
            }),
            host,
        );
        expect(codeOf(() => plan(remove({}), host))).toBe("LVS-FOREIGN-SERVERS");
    });

    test("a service that moves to another machine takes its own stack's real servers along, and nobody else's", () => {
        const server = (stack: string, address: string) =>
            create({
                owner: `org/${stack}/prod#RealServer/a`,
                id: `rs ${address}`,
                wants: [want("destination", serverKey(address), destination())],
            });
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const ours = carryOut(server("shop", "192.0.2.22"), up);
        expect(codeOf(() => plan(remove({}), ours))).toBe("LVS-FOREIGN-SERVERS");
        expect(valueAt(carryOut(remove({ departing: true }), ours), "service", SERVICE)).toBeUndefined();
        const theirs = carryOut(server("blog", "192.0.2.23"), ours);
        expect(codeOf(() => plan(remove({ departing: true }), theirs))).toBe("LVS-FOREIGN-SERVERS");
        const nobodys = project(ours, [step("destination", serverKey("192.0.2.99"), destination())], new Map());
        expect(codeOf(() => plan(remove({ departing: true }), nobodys))).toBe("LVS-FOREIGN-SERVERS");
    });

    test("a real server whose service is gone is an error, unless it comes with it", () => {
        const wants = [want("destination", serverKey("192.0.2.21"), destination())];
        expect(codeOf(() => plan(create({ wants }), stateOf({ things: found })))).toBe("LVS-NO-SERVICE");
        expect(codeOf(() => plan(create({ wants: serviceWants() }), stateOf({ things: found })))).toBeUndefined();
    });
});

describe("sharing", () => {
    const setting = (value: string) => [want("sysctl", SYSCTL, value)];

    test("in one stack the newest wins, and when it goes the next one's value returns, down to what was found", () => {
        let host = stateOf({ things: found });
        host = carryOut(create({ id: "a", wants: setting("1") }), host);
        host = carryOut(create({ id: "b", wants: setting("2") }), host);
        host = carryOut(create({ id: "c", wants: setting("3") }), host);
        expect(valueAt(host, "sysctl", SYSCTL)).toBe("3");
        host = carryOut(remove({ id: "b" }), host);
        expect(valueAt(host, "sysctl", SYSCTL)).toBe("3");
        host = carryOut(remove({ id: "c" }), host);
        expect(valueAt(host, "sysctl", SYSCTL)).toBe("1");
        host = carryOut(remove({ id: "a" }), host);
        expect(valueAt(host, "sysctl", SYSCTL)).toBe("0");
    });

    test("two stacks share one value, and clash over two with an error that names both", () => {
        const host = carryOut(create({ owner: foreignStack, wants: setting("1") }), stateOf({ things: found }));
        expect(codeOf(() => plan(create({ wants: setting("2") }), host))).toBe("LVS-CLASH");
        expect(() => plan(create({ wants: setting("2") }), host)).toThrow(
            /web of org\/other\/prod.*web of org\/shop\/prod/s,
        );
        const both = carryOut(create({ wants: setting("1") }), host);
        const one = carryOut(remove({ owner: foreignStack }), both);
        expect(valueAt(one, "sysctl", SYSCTL)).toBe("1");
        expect(valueAt(carryOut(remove({}), one), "sysctl", SYSCTL)).toBe("0");
    });

    test("a real server belongs to one stack, even with the same value", () => {
        const host = carryOut(create({ owner: foreignStack, wants: serviceWants() }), stateOf({ things: found }));
        expect(codeOf(() => plan(create({ wants: serviceWants() }), host))).toBe("LVS-CLASH");
        const only = [want("service", SERVICE, service())];
        expect(codeOf(() => plan(create({ wants: only }), host))).toBeUndefined();
    });

    test("two versions of this package take turns with the boot unit and do not clash", () => {
        const host = carryOut(
            create({ owner: foreignStack, wants: [want("boot", "pulumi-lvs.service", "1 1 1 1 enabled")] }),
            stateOf({}),
        );
        const ours = [want("boot", "pulumi-lvs.service", "2 2 2 2 enabled")];
        expect(codeOf(() => plan(create({ wants: ours }), host))).toBeUndefined();
    });
});

describe("identity", () => {
    test.each(["the new one stays", "the old one stays"])("a rename is two owners for a while, and %s", (which) => {
        let host = carryOut(create({ owner: old, wants: serviceWants() }), stateOf({ things: found }));
        host = carryOut(create({ owner: web, token: "t2", wants: serviceWants() }), host);
        const [first, second] = which === "the new one stays" ? [old, web] : [web, old];
        const tokenOf = (owner: string) => (owner === old ? "t1" : "t2");
        const made = plan(remove({ owner: first, token: tokenOf(first) }), host);
        expect(made.steps).toEqual([]);
        host = written(made.next);
        expect(valueAt(host, "service", SERVICE)).toEqual(service());
        host = carryOut(remove({ owner: second, token: tokenOf(second) }), host);
        expect(thingsOf(host)).toEqual(thingsOf(stateOf({ things: found })));
    });

    test("create takes over the file of the same URN and ID, and the delete of the older one releases nothing and says so", () => {
        let host = carryOut(create({ token: "t1", wants: serviceWants() }), stateOf({ things: found }));
        const taken = plan(create({ token: "t2", wants: serviceWants("rr") }), host);
        expect(taken.notes.join()).toMatch(/takes over/);
        host = written(taken.next);
        const made = plan(remove({ token: "t1" }), host);
        expect(made.steps).toEqual([]);
        expect([...made.afterwards]).toEqual([]);
        expect(made.notes.join()).toMatch(/nothing is released/);
        expect(thingsOf(carryOut(remove({ token: "t2" }), host))).toEqual(thingsOf(stateOf({ things: found })));
    });

    test("a changed stack rewrites the file and touches nothing else", () => {
        const formerly = { owner: "org/shop/stage#VirtualService/web", id: "dir/tcp/192.0.2.100:80" };
        const host = carryOut(create({ ...formerly, wants: serviceWants() }), stateOf({ things: found }));
        const made = plan(requestOf({ owner: web, formerly, wants: serviceWants() }), host);
        expect(made.steps).toEqual([]);
        const after = written(made.next);
        expect([...after.ledger.keys()]).toEqual([fileName({ owner: web, id: formerly.id })]);
        expect(thingsOf(carryOut(remove({ owner: web }), after))).toEqual(thingsOf(stateOf({ things: found })));
    });
});

describe("a ledger that is not as it was", () => {
    test("without any ledger a delete works from the outputs: rules and addresses go, settings are left and told", () => {
        const up = carryOut(
            create({ wants: [...serviceWants(), want("sysctl", SYSCTL, "1")] }),
            stateOf({ things: found }),
        );
        const lost = { ...up, ledger: new Map(), hasLedger: false };
        const made = plan(remove({ wants: [...serviceWants(), want("sysctl", SYSCTL, "1")] }), lost);
        expect(thingsOf(made.next)).toEqual({ ...thingsOf(stateOf({ things: found })), sysctl: { [SYSCTL]: "1" } });
        expect(made.notes.join()).toMatch(/what it was before is not known/);
        expect(made.next.ledger.size).toBe(0);
        // What was given back already, by a delete whose answer did not arrive.
        const again = plan(remove({ wants: [want("sysctl", SYSCTL, "1")] }), stateOf({ things: found }));
        expect([again.steps, again.notes]).toEqual([[], []]);
    });

    test("a ledger without our file means that it was released already", () => {
        const other = carryOut(create({ owner: old, wants: serviceWants() }), stateOf({ things: found }));
        const made = plan(remove({ wants: serviceWants() }), other);
        expect([made.steps, [...made.during], [...made.afterwards], made.notes]).toEqual([[], [], [], []]);
    });

    test("a delete whose file alone was lost releases nothing, and names what stands there unclaimed", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const lost = carryOut(create({ owner: old, id: "b", wants: [want("sysctl", SYSCTL, "1")] }), {
            ...up,
            ledger: new Map(),
        });
        const made = plan(remove({ wants: serviceWants() }), lost);
        expect(made.steps).toEqual([]);
        expect(made.notes.join()).toMatch(
            /no file of dir\/tcp\/192\.0\.2\.100:80: nothing is released.*virtual service tcp.*real server tcp.*192\.0\.2\.100\/32/,
        );
    });

    test("a claim of a kind that this version does not know in one's own file stops delete and update: a newer one wrote it", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const [name, file] = [...up.ledger][0]!;
        const novelty = { ...file.claims[0]!, kind: "novelty", key: "n" };
        const host = { ...up, ledger: new Map([[name, { ...file, claims: [...file.claims, novelty] }]]) };
        for (const request of [remove({ wants: serviceWants() }), requestOf({ wants: serviceWants("rr") })]) {
            expect(codeOf(() => plan(request, host))).toBe("LVS-LEDGER-NEWER");
            expect(() => plan(request, host)).toThrow(/^dir: .*claims novelty n.*\n.*nothing was touched/);
        }
        // To others on the host it is none.
        expect(codeOf(() => plan(remove({ owner: old, id: "b" }), host))).toBeUndefined();
    });

    test("an update rebuilds a lost file and takes what exists for its own", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const lost = { ...up, ledger: new Map(), hasLedger: false };
        const made = plan(requestOf({ wants: serviceWants() }), lost);
        expect(made.steps).toEqual([]);
        expect(made.notes.join()).toMatch(/rebuilt/);
        const gone = carryOut(remove({}), written(made.next));
        expect(valueAt(gone, "service", SERVICE)).toBeUndefined();
        expect(valueAt(gone, "address", VIP)).toBeUndefined();
    });

    const broken = (owner: string) => {
        const name = fileName({ owner, id: "dir/tcp/192.0.2.100:80" });
        return { name, error: new UnreadableLedger(name, "its first line: it was damaged") };
    };

    test("a damaged file of our own is no reason to release nothing in silence", () => {
        const { error } = broken(web);
        const host = stateOf({ things: found, unreadable: [error] });
        expect(codeOf(() => plan(remove({ wants: serviceWants() }), host))).toBe("LVS-LEDGER-DAMAGED");
    });

    test("a damaged file of our own is rebuilt by an update", () => {
        const { name, error } = broken(web);
        const made = plan(requestOf({ wants: serviceWants() }), stateOf({ things: found, unreadable: [error] }));
        expect(made.next.ledger.has(name)).toBe(true);
        expect(made.next.unreadable.size).toBe(0);
    });

    test("a damaged file of somebody else stops every release and no claim", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const host = { ...up, unreadable: new Map([[broken(old).name, broken(old).error]]) };
        expect(codeOf(() => plan(remove({}), host))).toBe("LVS-LEDGER-DAMAGED");
        const less = serviceWants().filter(({ kind }) => kind !== "address");
        expect(codeOf(() => plan(requestOf({ wants: less }), host))).toBe("LVS-LEDGER-DAMAGED");
        expect(codeOf(() => plan(requestOf({ phase: "claim", wants: less }), host))).toBeUndefined();
    });

    test("beside a damaged file what was found is not known: it may be that file's", () => {
        const things = { ...found, address: { [VIP]: { deprecated: false } } };
        const host = stateOf({ things, unreadable: [broken(old).error] });
        const made = plan(create({ wants: [want("address", VIP, { deprecated: false })] }), host);
        expect([...made.afterwards.values()][0]!.claims[0]!.found).toEqual({ state: "unknown" });
    });

    test("a newer file stops everything", () => {
        const { name } = broken(old);
        const newer = new UnreadableLedger(name, "its format 2 is newer than 1: a newer pulumi-lvs wrote it");
        const host = stateOf({ things: found, unreadable: [newer] });
        for (const request of [create({}), requestOf({}), remove({})]) {
            expect(codeOf(() => plan(request, host))).toBe("LVS-LEDGER-NEWER");
        }
    });

    test("what a host says in its files reaches no terminal as it is", () => {
        const error = new UnreadableLedger("\u001b[2Jx.claims", "\u009b2J: it was damaged");
        const host = stateOf({ things: { ...found, service: { [SERVICE]: "\u001b]0;owned\u0007" } } });
        const texts = [
            () => plan(remove({}), stateOf({ unreadable: [error] })),
            () => plan(create({ wants: serviceWants() }), host),
        ].map((work) => {
            try {
                work();
                return "";
            } catch (caught) {
                return (caught as Error).message;
            }
        });
        for (const text of texts) {
            expect(text).not.toBe("");
            expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
        }
    });
});

describe("tools that the host does not have", () => {
    const without = (tool: string, host: HostState): HostState => {
        const facts = host.probe
            .section("facts")
            .split("\n")
            .filter((line) => !line.startsWith(`tool.${tool}=`))
            .join("\n");
        return { ...host, probe: stateOf({ sections: { facts } }).probe };
    };

    test.each([
        ["ipvsadm", want("service", SERVICE, service())],
        ["ip", want("address", VIP, { deprecated: false })],
        ["nft", want("mark", "ipv4/tcp/192.0.2.100/80", 1)],
    ])("without %s nothing is claimed, and nothing is taken for gone", (tool, each) => {
        const host = stateOf({ things: found });
        expect(codeOf(() => plan(create({ wants: [each] }), without(tool, host)))).toBe("LVS-TOOL");
        const blind = { ...carryOut(create({ wants: [each] }), host), objects: stateOf({}).objects };
        expect(codeOf(() => plan(remove({}), without(tool, blind)))).toBe("LVS-TOOL");
        expect(codeOf(() => plan(remove({}), blind))).toBeUndefined();
    });
});

describe("modules first", () => {
    const wants = [want("module", "ip_vs", true), want("sysctl", SYSCTL, "1"), want("service", SERVICE, service())];

    test("settings that a module brings are claimed only once they can be read, and given back", () => {
        const bare = stateOf({});
        const made = plan(create({ wants }), bare);
        expect(made.partial).toBe(true);
        expect(made.steps.map(({ kind }) => kind)).toEqual(["module"]);
        const loaded = project(written(made.next), [step("sysctl", SYSCTL, "0")], new Map());
        const up = carryOut(create({ wants }), loaded);
        expect(valueAt(up, "sysctl", SYSCTL)).toBe("1");
        expect(thingsOf(carryOut(remove({}), up))).toEqual({ module: { ip_vs: true }, sysctl: { [SYSCTL]: "0" } });
    });

    test("a partial plan releases nothing and forgets nothing", () => {
        const up = carryOut(create({ wants: [want("address", VIP, { deprecated: false })] }), stateOf({}));
        const made = plan(requestOf({ wants }), up);
        expect([made.partial, made.pending]).toEqual([true, 1]);
        expect([...made.afterwards.values()][0]!.claims.map(({ kind }) => kind).sort()).toEqual(["address", "module"]);
    });
});

describe("draining", () => {
    const key = serverKey("192.0.2.21");
    const up = carryOut(create({ wants: serviceWants(), drain: 30 }), stateOf({ things: found }));
    const less = serviceWants().filter(({ kind }) => kind !== "destination");
    const later = (host: HostState, seconds: number): HostState => ({
        ...host,
        clockAt: host.clockAt - seconds * 1000,
    });
    /** What the host is after a script that left the real server at weight 0 with connections. */
    const busy = (request: Request, host: HostState): HostState =>
        written(project(host, [step("destination", key, destination(0))], plan(request, host).during));

    test.each([
        ["a delete", remove({ drain: 30 })],
        ["an update", requestOf({ wants: less, drain: 30 })],
    ])("%s waits until one deadline, which no further attempt moves", (_, request) => {
        const first = busy(request, up);
        const deadline = [...first.ledger.values()][0]!.draining;
        expect(deadline?.key).toBe(key);
        const second = busy(request, later(first, 10));
        expect([...second.ledger.values()][0]!.draining).toEqual(deadline);
        // A clock that was set back is not waited for.
        const back = busy(request, later(first, -900));
        expect([...back.ledger.values()][0]!.draining!.until).toBe(deadline!.until - 900);
        const drained = (host: HostState) =>
            plan(request, host).steps.find(({ kind }) => kind === "destination")!.drained;
        expect([drained(first), drained(later(second, 15)), drained(later(second, 25))]).toEqual([true, true, false]);
    });

    test("each service has seconds of its own, and is not drained where it has none", () => {
        const drains = new Map([[SERVICE, 0]]);
        const steps = (request: Request) =>
            plan(request, up)
                .steps.filter(({ kind }) => kind === "destination")
                .map(({ drained }) => drained);
        expect([steps(remove({ drain: 30, drains })), steps(remove({ drain: 30 }))]).toEqual([[false], [true]]);
        const made = busy(remove({ drain: 30, drains: new Map([[SERVICE, 500]]) }), up);
        const usual = busy(remove({ drain: 30 }), up);
        const until = (host: HostState) => [...host.ledger.values()][0]!.draining!.until;
        expect(until(made) - until(usual)).toBe(470);
    });

    test("a deadline that passed for one real server is none for the next one", () => {
        const next = serverKey("192.0.2.22");
        const two = [...serviceWants(), want("destination", next, destination())];
        const first = busy(
            requestOf({ wants: two.filter((each) => each.key !== key), drain: 30 }),
            carryOut(create({ wants: two }), up),
        );
        const back = carryOut(requestOf({ wants: two }), later(first, 100));
        const made = plan(requestOf({ wants: two.filter((each) => each.key !== next), drain: 30 }), back);
        expect(made.steps.map(({ drained }) => drained)).toEqual([true]);
        const interruptedEarlier = later(first, 100);
        const other = plan(
            requestOf({ wants: two.filter((each) => each.key !== next), drain: 30 }),
            interruptedEarlier,
        );
        expect(other.steps.find((each) => each.key === next)?.drained).toBe(true);
    });

    test("a reboot on the way brings the real server back with weight 0; wanted again, with its own", () => {
        const command = (host: HostState) =>
            [...host.ledger.values()][0]!.claims.find((claim) => claim.kind === "destination")!.command;
        const drained = busy(remove({ drain: 30 }), up);
        expect([command(up), command(drained)]).toEqual([
            expect.stringMatching(/ -w 1\b/),
            expect.stringMatching(/ -w 0\b/),
        ]);
        expect(command(carryOut(requestOf({ wants: serviceWants(), drain: 30 }), drained))).toBe(command(up));
    });

    test("a real server that is wanted again gets its weight back and loses its deadline", () => {
        const made = plan(
            requestOf({ wants: serviceWants(), drain: 30 }),
            busy(requestOf({ wants: less, drain: 30 }), up),
        );
        expect(made.steps.map(({ after }) => after)).toEqual([destination(1)]);
        expect([...made.afterwards.values()][0]!.draining).toBeUndefined();
    });
});

describe("undo", () => {
    test("a value that another resource of the stack wants as it was is set back too", () => {
        let host = carryOut(create({ id: "a", wants: [want("sysctl", SYSCTL, "1")] }), stateOf({ things: found }));
        host = carryOut(create({ id: "b", wants: [want("sysctl", SYSCTL, "1")] }), host);
        const made = plan(requestOf({ id: "a", wants: [want("sysctl", SYSCTL, "2")] }), host);
        const undo = planUndo(deedOf(made, host), written(made.next));
        expect(valueAt(undo.next, "sysctl", SYSCTL)).toBe("1");
    });

    test("what somebody else came to want meanwhile stays", () => {
        const start = stateOf({ things: found });
        const made = plan(create({ id: "a", wants: serviceWants() }), start);
        const shared = carryOut(create({ id: "b", wants: serviceWants() }), written(made.next));
        const undo = planUndo(deedOf(made, start), shared);
        expect(undo.steps).toEqual([]);
        expect([...undo.next.ledger.values()].map(({ id }) => id)).toEqual(["b"]);
    });

    test("what somebody changed meanwhile is left and told", () => {
        const start = stateOf({ things: found });
        const made = plan(create({ wants: [want("sysctl", SYSCTL, "1")] }), start);
        const moved = project(written(made.next), [step("sysctl", SYSCTL, "5")], new Map());
        const undo = planUndo(deedOf(made, start), moved);
        expect(undo.steps).toEqual([]);
        expect(undo.notes.join()).toMatch(/changed since/);
    });

    test("a real server that was put to rest gets its weight back", () => {
        const up = carryOut(create({ wants: serviceWants() }), stateOf({ things: found }));
        const made = plan(remove({ drain: 30 }), up);
        const resting = written(
            project(up, [step("destination", serverKey("192.0.2.21"), destination(0))], made.during),
        );
        const undo = planUndo(deedOf(made, up), resting);
        expect(thingsOf(undo.next)).toEqual(thingsOf(up));
    });
});

describe("random histories", () => {
    const SETTINGS = ["net.ipv4.vs.conntrack", "net.ipv4.vs.expire_nodest_conn"];
    const SERVICES = ["tcp/192.0.2.100:80", "udp/192.0.2.100:53"];
    const ADDRESSES = ["eth0/192.0.2.100/32", "lo/2001:db8::1/128"];

    const wanted: fc.Arbitrary<Want[]> = fc
        .record({
            settings: fc.subarray(SETTINGS),
            value: fc.constantFrom("1", "2"),
            on: fc.boolean(),
            services: fc.subarray(SERVICES),
            scheduler: fc.constantFrom("wlc", "rr"),
            servers: fc.subarray(["192.0.2.21", "192.0.2.22"]),
            addresses: fc.subarray(ADDRESSES),
            router: fc.constantFrom(undefined, "10.0.0.1", "10.0.0.2"),
        })
        .map(({ settings, value, on, services, scheduler, servers, addresses, router }) => [
            want("module", "ip_vs", true),
            ...settings.map((key) => want("sysctl", key, value)),
            ...(on ? [want("forwarding", "ipv4", { on })] : []),
            ...services.flatMap((key) => [
                want("service", key, service(scheduler)),
                ...servers.map((server) => want("destination", `${key}/${server}:${key.split(":")[1]}`, destination())),
            ]),
            ...addresses.map((key) => want("address", key, { deprecated: false })),
            ...(router === undefined ? [] : [defaultRoute(router)]),
        ]);

    const start: fc.Arbitrary<Things> = fc
        .record({
            settings: fc.tuple(fc.constantFrom("0", "1"), fc.constantFrom("0", "2")),
            on: fc.boolean(),
            service: fc.boolean(),
            address: fc.boolean(),
            route: fc.boolean(),
        })
        .map(({ settings, on, service: present, address, route }) => ({
            module: { ip_vs: true },
            sysctl: Object.fromEntries(SETTINGS.map((key, index) => [key, settings[index]!])),
            forwarding: { ipv4: { on, interfaces: { eth0: { forwarding: on ? "1" : "0" } } } },
            ...(present ? { service: { [SERVICES[0]!]: service("rr") } } : {}),
            ...(address ? { address: { [ADDRESSES[0]!]: { deprecated: false } } } : {}),
            ...(route ? { route: { "ipv4/default": "default via 10.0.0.9 dev eth0 proto static" } } : {}),
        }));

    const OWNERS = [web, old, foreignStack];
    const moves = fc.array(
        fc.record({
            owner: fc.constantFrom(...OWNERS),
            wants: fc.option(wanted, { nil: undefined, freq: 3 }),
            adopt: fc.boolean(),
            token: fc.constantFrom("t1", "t2"),
        }),
        { maxLength: 10 },
    );

    /** What the host must be: the newest claim's value, else what was found; adopted rules are gone. */
    const expected = (initial: HostState, host: HostState, adopted: Set<string>): Things => {
        const objects = new Map([...initial.objects].map(([kind, values]) => [kind, new Map(values)]));
        for (const key of adopted) objects.get("service")!.delete(key);
        for (const { claims } of host.ledger.values()) {
            for (const { kind, key } of claims) {
                if (kind !== "module") objects.get(kind)!.set(key, holders(host.ledger, kind, key)[0]!.claim.value);
            }
        }
        return thingsOf({ ...initial, objects });
    };
    const normal = (things: Things): Things => ({
        ...things,
        forwarding: { ipv4: (things["forwarding"]!["ipv4"] as { on: Value }).on },
    });

    test("after every step the host is what its ledger says, and after the last release what was found", () => {
        let refused = 0;
        let done = 0;
        fc.assert(
            fc.property(start, moves, (things, list) => {
                const initial = stateOf({ things });
                let host = initial;
                const adopted = new Set<string>();
                const tokens = new Map<string, string>();
                const go = (request: Request) => {
                    try {
                        const after = carryOut(request, host);
                        done++;
                        for (const { claims } of after.ledger.values()) {
                            for (const { kind, key } of claims) if (kind === "service") adopted.add(key);
                        }
                        host = after;
                        return true;
                    } catch (error) {
                        refused++;
                        expect((error as { code?: string }).code).toMatch(
                            /^LVS-(CLASH|EXISTS|FOREIGN-SERVERS|NO-SERVICE)$/,
                        );
                        return false;
                    }
                };
                for (const { owner, wants, adopt, token } of list) {
                    const before = host;
                    const mine = tokens.get(owner);
                    if (wants === undefined) {
                        if (mine !== undefined && go(remove({ owner, token: mine }))) tokens.delete(owner);
                    } else {
                        const request = requestOf({
                            owner,
                            wants,
                            adopt,
                            token: mine ?? token,
                            creating: mine === undefined,
                        });
                        if (go(request)) tokens.set(owner, request.token);
                        if (host !== before) expect(plan({ ...request, creating: false }, host).steps).toEqual([]);
                    }
                    expect(normal(thingsOf(host))).toEqual(normal(expected(initial, host, adopted)));
                }
                // Whoever is refused because of others is let go once they are gone.
                for (let round = 0; round < 3; round++) {
                    for (const [owner, token] of tokens) if (go(remove({ owner, token }))) tokens.delete(owner);
                }
                if (tokens.size > 0)
                    for (const [owner, token] of tokens) go(remove({ owner, token, deleteForeign: true }));
                expect(host.ledger.size).toBe(0);
                expect(normal(thingsOf(host))).toEqual(normal(expected(initial, host, adopted)));
            }),
            { numRuns: 250 },
        );
        expect(done).toBeGreaterThan(250);
        expect(refused).toBeGreaterThan(10);
    });

    test("a boot unit of which only some files could be written is taken back", () => {
        const start = stateOf({ things: found });
        const made = plan(create({ wants: [want("boot", "pulumi-lvs.service", "1 2 enabled")] }), start);
        const half = project(start, [step("boot", "pulumi-lvs.service", "1 absent disabled")], made.during);
        const back = planUndo(deedOf(made, start), written(half));
        expect(back.notes).toEqual([]);
        expect(valueAt(back.next, "boot", "pulumi-lvs.service")).toBeUndefined();
    });

    test("an operation that was cut off after any step is taken back to what was before it", () => {
        fc.assert(
            fc.property(
                start,
                wanted,
                wanted,
                fc.nat(),
                fc.constantFrom("create", "update", "delete"),
                (things, first, second, cut, what) => {
                    const initial = stateOf({ things });
                    const base = what === "create" ? initial : carryOut(create({ wants: first, adopt: true }), initial);
                    const request =
                        what === "delete"
                            ? remove({ drain: 30 })
                            : requestOf({ wants: second, adopt: true, creating: what === "create" });
                    const made = plan(request, base);
                    const count = made.steps.length === 0 ? 0 : cut % (made.steps.length + 1);
                    const here = count === made.steps.length ? written(made.next) : interrupted(made, base, count);
                    const undo = planUndo(deedOf(made, base), here);
                    const back = written(undo.next);
                    expect(normal(thingsOf(back))).toEqual(normal(thingsOf(base)));
                    expect(back.ledger).toEqual(base.ledger);
                    for (const { kind, key, value } of undo.goals) {
                        const have = valueAt(back, kind, key);
                        expect(value === undefined ? have === undefined : satisfied(kind, key, value, have)).toBe(true);
                    }
                    // Children after their parents on the way back too.
                    for (const [index, each] of inOrder(undo).entries()) {
                        const parent = kindOf(each.kind).parent?.(each.key);
                        if (each.after === undefined || parent === undefined || valueAt(here, parent.kind, parent.key))
                            continue;
                        expect(
                            inOrder(undo)
                                .slice(0, index)
                                .some(({ key }) => key === parent.key),
                        ).toBe(true);
                    }
                },
            ),
            { numRuns: 250 },
        );
    });

    test("an operation that was cut off after any step is finished by doing it again", () => {
        fc.assert(
            fc.property(start, wanted, wanted, fc.nat(), (things, first, second, cut) => {
                const base = carryOut(create({ wants: first, adopt: true }), stateOf({ things }));
                const request = requestOf({ wants: second, adopt: true });
                const made = plan(request, base);
                const here = interrupted(made, base, made.steps.length === 0 ? 0 : cut % made.steps.length);
                const after = carryOut(request, here);
                expect(normal(thingsOf(after))).toEqual(normal(thingsOf(made.next)));
                expect(normal(thingsOf(carryOut(remove({}), after)))).toEqual(
                    normal(thingsOf(carryOut(remove({}), written(made.next)))),
                );
            }),
            { numRuns: 200 },
        );
    });
});

function step(kind: string, key: string, after: Value) {
    return { kind, key, before: undefined, after, actions: [], rank: 0, release: false, says: "", drained: false };
}

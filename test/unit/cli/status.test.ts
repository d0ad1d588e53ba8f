import { type ServiceStatus, servicesOf } from "../../../cli/status";
import { fileName, type LedgerFile } from "../../../provider/reconcile/ledger";
import { planMaintenance } from "../../../provider/reconcile/maintenance";
import {
    carryOut,
    destination,
    requestOf,
    SERVICE,
    serverKey,
    service,
    stateOf,
    want,
    written,
} from "../reconcile/world";

const RIP = "192.0.2.21";
const key = serverKey(RIP);
const create = (id: string, wants: ReturnType<typeof want>[]) => requestOf({ id, creating: true, wants });
const rule = want("destination", key, destination(3));
const up = carryOut(
    create("dir/web1", [rule]),
    carryOut(create("dir/web", [want("service", SERVICE, service())]), stateOf()),
);

/** The kernel's own, beside what the ledger says. */
const kernel = (things: Parameters<typeof stateOf>[0]) => ({ ...stateOf(things), ledger: up.ledger });
const only = (list: ServiceStatus[]) => {
    expect(list).toHaveLength(1);
    return list[0]!;
};
const server = (list: ServiceStatus[]) => only(list).realServers[0]!;

test("a claimed service with its real server, as declared", () => {
    const found = only(servicesOf(up, {}));
    expect(found).toMatchObject({ service: SERVICE, kernel: service(), differs: [], claims: [{ id: "dir/web" }] });
    expect(found.realServers).toEqual([
        {
            realServer: `${RIP}:80`,
            kernel: destination(3),
            claims: [
                {
                    ...{ owner: "org/shop/prod#VirtualService/web", id: "dir/web1", value: destination(3) },
                    file: fileName({ owner: "org/shop/prod#VirtualService/web", id: "dir/web1" }),
                },
            ],
            ...{ differs: [], active: 0, inactive: 0, maintenance: false },
        },
    ]);
});

test("what differs is named; what is gone from the kernel is there with null", () => {
    const moved = kernel({
        things: { service: { [SERVICE]: service("rr") }, destination: { [key]: destination(7, "nat") } },
    });
    expect(only(servicesOf(moved, {})).differs).toEqual(["scheduler"]);
    expect(server(servicesOf(moved, {})).differs.sort()).toEqual(["forwarding", "weight"]);
    const empty = only(servicesOf(kernel({}), {}));
    expect([empty.kernel, empty.differs, empty.realServers[0]?.kernel]).toEqual([null, [], null]);
});

test("what nobody claims has no claims, whoever has the service", () => {
    const beside = kernel({
        things: {
            service: { [SERVICE]: service(), "fwm/1": service() },
            destination: { [key]: destination(3), [serverKey("192.0.2.99")]: destination(1) },
        },
    });
    expect(servicesOf(beside, {}).map((each) => [each.service, each.claims.length])).toEqual([
        [SERVICE, 1],
        ["fwm/1", 0],
    ]);
    expect(servicesOf(beside, {})[0]!.realServers.map((each) => [each.realServer, each.claims.length])).toEqual([
        [`${RIP}:80`, 1],
        ["192.0.2.99:80", 0],
    ]);
});

test("under maintenance weight 0 does not differ, and any other does", () => {
    const rests = written(planMaintenance("dir", { address: RIP }, true, up).next);
    expect(server(servicesOf(rests, {}))).toMatchObject({ maintenance: true, differs: [], kernel: { weight: 0 } });
    const given = { ...up, ledger: rests.ledger };
    expect(server(servicesOf(given, {}))).toMatchObject({ maintenance: true, differs: ["weight"] });
});

test("a removal that waits for connections says for how long at most", () => {
    const files = [...up.ledger].map(([name, file]): [string, LedgerFile] => [
        name,
        file.id === "dir/web1" ? { ...file, draining: { key, until: 1030 } } : file,
    ]);
    const waits = server(servicesOf({ ...up, ledger: new Map(files) }, {}));
    expect(waits.draining?.seconds).toBeGreaterThan(20);
    expect(waits.draining?.seconds).toBeLessThanOrEqual(30);
    expect(server(servicesOf(up, {})).draining).toBeUndefined();
});

test("counters stand beside what they count", () => {
    const listing = (numbers: string) =>
        `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.0.2.100:80                     12       60       48     4000 18446744073709551615
  -> 192.0.2.21:80                       ${numbers}
`;
    const found = only(servicesOf(up, { stats: listing("6 30 24 2000 3000"), rate: listing("1 2 3 4 5") }));
    expect(found.stats).toMatchObject({ connections: 12, inPackets: 60, outBytes: 18446744073709552000 });
    expect(found.realServers[0]).toMatchObject({
        stats: { connections: 6, inPackets: 30, outPackets: 24, inBytes: 2000, outBytes: 3000 },
        rate: { connections: 1, inPackets: 2, outPackets: 3, inBytes: 4, outBytes: 5 },
    });
    expect(() => servicesOf(up, { stats: listing("6 30 24 2000") })).toThrow(/outgoing bytes/);
});

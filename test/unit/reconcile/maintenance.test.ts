/** Maintenance by hand: marks in the ledger, and what every other plan makes of them. */
import type { Value } from "../../../provider/kinds";
import { fileName, type LedgerFile, UnreadableLedger } from "../../../provider/reconcile/ledger";
import { claimedAt, planMaintenance, type RealServerPlace } from "../../../provider/reconcile/maintenance";
import { type Plan, plan, planUndo, project } from "../../../provider/reconcile/plan";
import { type HostState, underMaintenance, valueAt } from "../../../provider/reconcile/state";
import {
    carryOut,
    codeOf,
    deedOf,
    destination,
    inOrder,
    requestOf,
    SERVICE,
    serverKey,
    service,
    stateOf,
    thingsOf,
    want,
    written,
} from "./world";

const RIP = "192.0.2.21";
const key = serverKey(RIP);
const other = serverKey("192.0.2.22");
const create = (over: Parameters<typeof requestOf>[0]) => requestOf({ creating: true, ...over });
const wants = (weight = 3, keys = [key, other]) => [
    want("service", SERVICE, service()),
    ...keys.map((each) => want("destination", each, destination(weight))),
];
/** A destination with an upper threshold. */
const bounded = (weight: number, upperThreshold: number): Value => ({
    ...(destination(weight) as object),
    upperThreshold,
});
const up = carryOut(create({ wants: wants() }), stateOf());

const done = (made: Plan): HostState => written(made.next);
const drained = (host: HostState, place: RealServerPlace = { address: RIP }) =>
    done(planMaintenance("dir", place, true, host));
const undrained = (host: HostState, place: RealServerPlace = { address: RIP }) =>
    done(planMaintenance("dir", place, false, host));
const weights = (host: HostState) =>
    Object.fromEntries(
        [...host.objects.get("destination")!].map(([each, value]) => [each, (value as { weight: number }).weight]),
    );
/** The weight that the boot script gives, out of the ready command. */
const bootWeight = (host: HostState, of = key): string[] =>
    [...host.ledger.values()].flatMap(({ claims }) =>
        claims
            .filter((claim) => claim.kind === "destination" && claim.key === of)
            .map(({ command }) => / -w (\d+)/.exec(command)![1]!),
    );
const onlyFile = (host: HostState): LedgerFile => [...host.ledger.values()][0]!;

describe("a drain", () => {
    test("marks the claim, sets the weight to 0 in place, and lets nothing else move", () => {
        const edited = project(up, [], new Map());
        (edited.objects.get("destination") as Map<string, unknown>).set(key, bounded(3, 9));
        const made = planMaintenance("dir", { address: RIP }, true, edited);
        expect(inOrder(made).map(({ after: value, says }) => [value, says])).toEqual([
            [bounded(0, 9), expect.stringMatching(/^drain real server /)],
        ]);
        expect(made.goals).toEqual([{ kind: "destination", key, value: bounded(0, 9) }]);
        expect(made.during).toEqual(made.afterwards);
        expect(onlyFile(done(made)).maintenance).toEqual([key]);
        expect(onlyFile(done(made)).claims.find((claim) => claim.key === key)?.value).toEqual(destination(3));
    });

    test("comes back at boot with weight 0, and what is beside it with its own", () => {
        const host = drained(up);
        expect([bootWeight(up), bootWeight(host), bootWeight(host, other)]).toEqual([["3"], ["0"], ["3"]]);
        expect(bootWeight(undrained(host))).toEqual(["3"]);
    });

    test("twice is once; undrained, the host is as it was", () => {
        const again = planMaintenance("dir", { address: RIP }, true, drained(up));
        expect(again.steps).toEqual([]);
        expect(written(again.next).ledger).toEqual(drained(up).ledger);
        expect(thingsOf(undrained(drained(up)))).toEqual(thingsOf(up));
        expect(undrained(drained(up)).ledger).toEqual(up.ledger);
    });

    test("with a port means that one alone", () => {
        const second = `tcp/192.0.2.100:443/${RIP}:443`;
        const two = carryOut(
            create({
                id: "b",
                wants: [want("service", "tcp/192.0.2.100:443", service()), want("destination", second, destination(5))],
            }),
            up,
        );
        expect(claimedAt(two.ledger, { address: RIP })).toEqual([second, key]);
        expect(weights(drained(two, { address: RIP, port: 443 }))).toEqual({ [key]: 3, [other]: 3, [second]: 0 });
        expect(weights(drained(two))).toEqual({ [key]: 0, [other]: 3, [second]: 0 });
        const all = drained(two);
        expect(weights(undrained(all, { address: RIP, port: 443 }))).toEqual({ [key]: 0, [other]: 3, [second]: 5 });
    });

    test("of one that the kernel has lost is a mark for later", () => {
        const lost = project(up, [], new Map());
        (lost.objects.get("destination") as Map<string, unknown>).delete(key);
        const host = drained(lost);
        expect(weights(host)).toEqual({ [other]: 3 });
        expect(weights(carryOut(requestOf({ wants: wants() }), host))).toEqual({ [key]: 0, [other]: 3 });
    });

    test("does not touch what nobody claims", () => {
        const foreign = stateOf({
            things: { service: { [SERVICE]: service() }, destination: { [key]: destination(3) } },
        });
        const made = planMaintenance("dir", { address: RIP }, true, foreign);
        expect([made.steps, made.during.size]).toEqual([[], 0]);
    });

    test("is refused where a newer version's file might claim the real server", () => {
        const newer = stateOf({ unreadable: [new UnreadableLedger("x.claims", "its format 2 is newer than 1")] });
        expect(codeOf(() => planMaintenance("dir", { address: RIP }, true, newer))).toBe("LVS-LEDGER-NEWER");
    });

    test("that is taken back leaves neither mark nor weight 0", () => {
        const made = planMaintenance("dir", { address: RIP }, true, up);
        const deed = deedOf(made, up);
        const undo = planUndo(deed, done(made), underMaintenance(deed.files));
        expect(thingsOf(undo.next)).toEqual(thingsOf(up));
        expect(written(undo.next).ledger).toEqual(up.ledger);
    });
});

describe("an undrain", () => {
    test("of what is not under maintenance does not touch a weight that somebody else moves", () => {
        const moved = project(up, [], new Map());
        (moved.objects.get("destination") as Map<string, unknown>).set(key, destination(7));
        expect(planMaintenance("dir", { address: RIP }, false, moved).steps).toEqual([]);
    });

    test("gives back the weight that was declared last, also meanwhile", () => {
        const edited = carryOut(requestOf({ wants: wants(8) }), drained(up));
        expect(weights(edited)).toEqual({ [key]: 0, [other]: 8 });
        expect(weights(undrained(edited))).toEqual({ [key]: 8, [other]: 8 });
    });
});

describe("under maintenance", () => {
    const host = drained(up);

    test.each([
        ["an update with nothing new", requestOf({ wants: wants() })],
        ["another declared weight", requestOf({ wants: wants(9) })],
        [
            "another stack identity",
            requestOf({
                owner: "org/new/prod#VirtualService/web",
                formerly: up.ledger.size > 0 ? onlyFile(up) : undefined,
                wants: wants(),
            } as never),
        ],
        ["--replace: a new incarnation", create({ token: "t2", wants: wants() })],
        ["a rename: a second owner", create({ owner: "org/shop/prod#VirtualService/site", wants: wants() })],
    ])("%s leaves weight 0, the mark and the boot command", (_, request) => {
        const later = carryOut(request, host);
        expect(weights(later)[key]).toBe(0);
        for (const file of later.ledger.values()) expect(file.maintenance).toEqual([key]);
        expect(new Set(bootWeight(later))).toEqual(new Set(["0"]));
    });

    test("the other attributes are edited, and the weight is not written", () => {
        const more = [want("service", SERVICE, service("rr")), want("destination", key, bounded(3, 50))];
        const made = plan(requestOf({ phase: "claim", wants: more }), host);
        expect(made.steps.find((step) => step.key === key)?.after).toEqual(bounded(0, 50));
        expect(made.goals).toContainEqual({ kind: "destination", key, value: bounded(0, 50) });
        expect(made.notes.join()).toMatch(/under maintenance, its weight stays 0 until `lvs undrain 192\.0\.2\.21`/);
    });

    test("a rename that ends leaves the mark with the one that stays", () => {
        const renamed = carryOut(create({ owner: "org/shop/prod#VirtualService/site", wants: wants() }), host);
        const ended = carryOut(requestOf({ phase: "delete" }), renamed);
        expect(weights(ended)[key]).toBe(0);
        expect(onlyFile(ended).maintenance).toEqual([key]);
        expect(weights(undrained(ended))[key]).toBe(3);
    });

    test("a rename that is given up leaves it too", () => {
        const site = create({ owner: "org/shop/prod#VirtualService/site", wants: wants(7) });
        const ended = carryOut({ ...site, phase: "delete", wants: () => [] }, carryOut(site, host));
        expect(weights(ended)[key]).toBe(0);
        expect(ended.ledger.get(fileName(onlyFile(host)))?.maintenance).toEqual([key]);
    });

    test("a weight that a health checker moves is, for the ledger, as it was before", () => {
        const left = (weight: number) => [
            want("service", SERVICE, service()),
            { ...want("destination", key, destination(weight)), leave: ["weight"] },
        ];
        const checked = project(carryOut(create({ wants: left(3) }), stateOf()), [], new Map());
        (checked.objects.get("destination") as Map<string, unknown>).set(key, destination(6));
        const resting = drained(carryOut(requestOf({ wants: left(3) }), checked));
        const edited = carryOut(requestOf({ wants: left(4) }), resting);
        expect(weights(edited)).toEqual({ [key]: 0 });
        expect(weights(undrained(edited))).toEqual({ [key]: 6 });
    });

    test("an operation that is taken back after it began does not send traffic there", () => {
        const made = plan(requestOf({ wants: wants(5) }), up);
        const meanwhile = drained(done(made));
        const undo = planUndo(deedOf(made, up), meanwhile);
        expect(weights(undo.next)).toEqual({ [key]: 0, [other]: 3 });
        expect(onlyFile(undo.next).maintenance).toEqual([key]);
        expect(weights(undrained(written(undo.next)))).toEqual({ [key]: 3, [other]: 3 });
    });

    test("a destroy drains and removes it, mark and all", () => {
        const made = plan(requestOf({ phase: "delete", drain: 30 }), host);
        expect(made.steps.filter(({ kind }) => kind === "destination").every((step) => step.drained)).toBe(true);
        expect(carryOut(requestOf({ phase: "delete" }), host).ledger.size).toBe(0);
    });

    test("a mark goes with its claim", () => {
        const less = carryOut(requestOf({ wants: wants(3, [other]) }), host);
        expect(onlyFile(less).maintenance).toEqual([]);
    });
});

describe("a further service for a real server", () => {
    const further = `tcp/192.0.2.100:443/${RIP}:443`;
    const request = create({
        id: "b",
        wants: [want("service", "tcp/192.0.2.100:443", service()), want("destination", further, destination(2))],
    });

    test("that is under maintenance begins so, and one undrain ends it all", () => {
        const made = plan(request, drained(up));
        expect(made.notes.join()).toMatch(/begins under maintenance/);
        const both = done(made);
        expect(weights(both)).toEqual({ [key]: 0, [other]: 3, [further]: 0 });
        expect(weights(undrained(both))).toEqual({ [key]: 3, [other]: 3, [further]: 2 });
    });

    test("of which one port alone is under maintenance gets its weight", () => {
        const third = `tcp/192.0.2.100:8080/${RIP}:8080`;
        const two = carryOut(
            create({
                id: "c",
                wants: [want("service", "tcp/192.0.2.100:8080", service()), want("destination", third, destination(3))],
            }),
            up,
        );
        expect(weights(carryOut(request, drained(two, { address: RIP, port: 80 })))[further]).toBe(2);
    });
});

test("what is under maintenance is read as maintenance: no value differs", () => {
    expect(valueAt(drained(up), "destination", key)).toEqual(destination(0));
    expect([...underMaintenance(drained(up).ledger)]).toEqual([key]);
});

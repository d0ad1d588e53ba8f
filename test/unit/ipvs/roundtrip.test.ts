/** What is asked for is what is read back: values → words → ipvsadm and kernel (the model) → listings → values. */
import * as fc from "fast-check";
import { canonicalJson, parseDestinationKey, parseServiceKey, serviceKey } from "../../../provider/ipvs/model";
import { parseConnections, parseTable } from "../../../provider/ipvs/parse";
import {
    addDestination,
    addService,
    deleteDestination,
    deleteService,
    editDestination,
    editService,
    restoreLine,
} from "../../../provider/ipvs/render";
import { destinations, type RandomTable, serviceValues, tables } from "./arbitraries";
import { ModelOfIpvsadm } from "./model-of-ipvsadm";

function program(table: RandomTable): ModelOfIpvsadm {
    const ipvsadm = new ModelOfIpvsadm();
    ipvsadm.restore(
        [
            ...[...table.services].map(([key, value]) => addService(key, value)),
            ...[...table.destinations].map(([key, value]) => addDestination(key, value)),
        ]
            .map(restoreLine)
            .join("\n"),
    );
    return ipvsadm;
}

function read(ipvsadm: ModelOfIpvsadm): RandomTable {
    const { services, destinations } = parseTable(ipvsadm.save(), ipvsadm.thresholds());
    return { services, destinations };
}

const byKey = <T>(map: Map<string, T>) => canonicalJson(Object.fromEntries(map));

function expectSame(found: RandomTable, wanted: RandomTable): void {
    expect(byKey(found.services)).toBe(byKey(wanted.services));
    expect(byKey(found.destinations)).toBe(byKey(wanted.destinations));
}

test("any table that is programmed is read back as it was declared", () => {
    fc.assert(
        fc.property(tables, (table) => {
            expectSame(read(program(table)), table);
        }),
        { numRuns: 500 },
    );
});

test("an edit sets everything: the old value leaves nothing behind", () => {
    const edits = tables
        .filter((table) => table.destinations.size > 0)
        .chain((table) =>
            fc.record({
                table: fc.constant(table),
                services: fc.tuple(
                    ...[...table.services.keys()].map((key) => fc.tuple(fc.constant(key), serviceValues(key))),
                ),
                destinations: fc.tuple(
                    ...[...table.destinations.keys()].map((key) =>
                        destinations(parseDestinationKey(key).service)
                            .map(([, value]) => value)
                            .filter((value) => fits(key, value))
                            .map((value) => [key, value] as const),
                    ),
                ),
            }),
        );
    fc.assert(
        fc.property(edits, (edit) => {
            const ipvsadm = program(edit.table);
            for (const [key, value] of edit.services) {
                ipvsadm.run(editService(key, value));
            }
            for (const [key, value] of edit.destinations) {
                ipvsadm.run(editDestination(key, value));
            }
            expectSame(read(ipvsadm), { services: new Map(edit.services), destinations: new Map(edit.destinations) });
        }),
        { numRuns: 200 },
    );
});

/** Whether the destination's key can stay under the value. */
function fits(key: string, value: Parameters<typeof editDestination>[1]): boolean {
    try {
        editDestination(key, value);
        return true;
    } catch {
        return false;
    }
}

test("a removal takes one destination, and a service's removal all of it", () => {
    fc.assert(
        fc.property(
            tables.filter((table) => table.destinations.size > 0),
            (table) => {
                const ipvsadm = program(table);
                const [first] = table.destinations.keys();
                ipvsadm.run(deleteDestination(first!));
                expect([...read(ipvsadm).destinations.keys()].sort()).toEqual(
                    [...table.destinations.keys()].filter((key) => key !== first).sort(),
                );
                for (const key of table.services.keys()) {
                    ipvsadm.run(deleteService(key));
                }
                expectSame(read(ipvsadm), { services: new Map(), destinations: new Map() });
            },
        ),
        { numRuns: 100 },
    );
});

test("every destination's connections are found in /proc/net/ip_vs under the destination's own key", () => {
    fc.assert(
        fc.property(tables, (table) => {
            const counts = parseConnections(program(table).proc());
            for (const [key, value] of table.destinations) {
                // A mark's weight may be the other family's, where both have the real server.
                const weight = key.startsWith("fwm") ? expect.any(Number) : value.weight;
                expect(counts.get(key)).toEqual({ active: 0, inactive: 0, weight });
            }
        }),
        { numRuns: 200 },
    );
});

test("every key reads back as what it was made of", () => {
    fc.assert(
        fc.property(tables, (table) => {
            for (const key of table.services.keys()) {
                expect(serviceKey(parseServiceKey(key))).toBe(key);
            }
            for (const key of table.destinations.keys()) {
                const { service, address, port } = parseDestinationKey(key);
                expect(table.services.has(service)).toBe(true);
                expect(key).toBe(`${service}/${address.includes(":") ? `[${address}]` : address}:${port}`);
            }
        }),
        { numRuns: 100 },
    );
});

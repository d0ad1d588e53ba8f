import * as fc from "fast-check";
import { writeFileSync } from "node:fs";
import { tables } from "./arbitraries";
import { addDestination, addService, restoreLine } from "../../../provider/ipvs/render";
test("gen", () => {
    const all = fc.sample(tables, { numRuns: 300, seed: 20 });
    writeFileSync("/tmp/random.json", JSON.stringify(all.map((t) => {
        const twos = new Set([...t.services].filter(([, v]) => v.scheduler === "twos").map(([k]) => k));
        for (const [k, v] of t.services) if (twos.has(k)) t.services.set(k, { ...v, scheduler: "rr" });
        return { services: [...t.services], destinations: [...t.destinations], lines: [...[...t.services].map(([k, v]) => addService(k, v)), ...[...t.destinations].map(([k, v]) => addDestination(k, v))].map((w) => restoreLine(w) + "\n").join("") };
    })));
});

import { readFileSync, existsSync } from "node:fs";
import { parseTable, parseConnections } from "../../../provider/ipvs/parse";
test("random tables on the kernel", () => {
    if (!existsSync("/tmp/random.out")) return;
    const want = JSON.parse(readFileSync("/tmp/random.json", "utf8"));
    const got = readFileSync("/tmp/random.out", "utf8").split("@@TABLE\n").slice(1);
    expect(got.length).toBe(want.length);
    let d = 0, bad = 0;
    want.forEach((w: any, i: number) => {
        const [err, save, thr, proc] = got[i]!.split("@@CUT\n");
        if (err !== "") { console.log(i, err, w.lines); bad++; return; }
        const t = parseTable(save!, thr!);
        expect(Object.fromEntries(t.services)).toEqual(Object.fromEntries(w.services));
        expect(Object.fromEntries(t.destinations)).toEqual(Object.fromEntries(w.destinations));
        const c = parseConnections(proc!);
        for (const [k] of w.destinations) { expect(c.has(k)).toBe(true); d++; }
    });
    console.log("tables", want.length, "destinations", d, "refused", bad);
});

/** Inputs that nobody would write, given to the provider's own process over gRPC as the engine gives them. */
import { existsSync } from "node:fs";
import fc from "fast-check";
import { seed } from "../support/sample";
import { canary, cases, judge } from "../unit/inputs/hostile";
import { ProviderProcess } from "./support/process";

const CASES = 1_000;

test(`${CASES} inputs are answered with failures or passed, and the process goes on answering`, async () => {
    const provider = await ProviderProcess.start({});
    try {
        const all = fc.sample(cases, { numRuns: CASES, seed });
        let failed = 0;
        for (let from = 0; from < all.length; from += 50) {
            await Promise.all(
                all.slice(from, from + 50).map(async ({ type, valid, spoiled }) => {
                    const answer = await provider.check(type, spoiled);
                    judge(answer);
                    if (answer.failures.length > 0) failed++;
                    await provider.diff({ type, id: "id", inputs: valid, outputs: valid }, spoiled);
                }),
            );
        }
        console.log(JSON.stringify({ seed, asked: all.length, failed }));
        expect(failed).toBeGreaterThan(100);
        expect(existsSync(canary)).toBe(false);
        const wrong = await provider.check("RealServer", { weight: -1 });
        expect(wrong.failures.map(({ property }) => property)).toContain("weight");
    } finally {
        await provider.stop();
    }
});

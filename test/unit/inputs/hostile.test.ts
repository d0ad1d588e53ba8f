/**
 * Whatever a program hands over, `check` answers with failures that have a property path, or passes it, and `diff`
 * answers too; and no word of what passes becomes anything but that word in a shell.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { type Handler, handlerOf } from "../../../provider/dynamic/handler";
import { kindOf } from "../../../provider/kinds";
import { commandLine } from "../../../provider/reconcile/shell";
import { exhaustive, seed } from "../../support/sample";
import { canary, cases, judge, resources } from "./hostile";

const CASES = exhaustive ? 10_000 : 2_000;

const handlers = new Map<string, Handler>(
    resources.map(({ type, resource }) => {
        const handler = handlerOf(resource);
        handler.configure({ config: { get: () => undefined } });
        return [type, handler];
    }),
);

test(`${CASES} inputs that nobody would write are answered, and their words stay words`, async () => {
    const silence = jest.spyOn(console, "log").mockImplementation(() => {});
    let passed = 0;
    let failed = 0;
    let turn = 0;
    const commands = new Map<string, string[]>();
    await fc.assert(
        fc.asyncProperty(cases, async ({ type, valid, spoiled }) => {
            const handler = handlers.get(type)!;
            const answer = await handler.check({}, spoiled);
            judge(answer);
            const [olds, news] = turn++ % 2 === 0 ? [valid, spoiled] : [spoiled, valid];
            const { changes, replaces } = await handler.diff("id", olds, news);
            if (typeof changes !== "boolean" || !Array.isArray(replaces)) throw new Error("no answer of diff");
            if (answer.failures.length > 0) {
                failed++;
                return;
            }
            passed++;
            for (const { kind, key, value } of resources
                .find((each) => each.type === type)!
                .resource.parts(answer.inputs)
                .flatMap((part) => part.wants(undefined))) {
                for (const action of kindOf(kind).set(key, value, undefined)) {
                    if ("run" in action) commands.set(commandLine([action]), action.run);
                }
            }
        }),
        { numRuns: CASES, seed, endOnFailure: true },
    );
    silence.mockRestore();
    // What a shell makes of them: the words, and nothing else.
    const lines = [...commands.keys()].map((line) => `say ${line}`);
    const shell = spawnSync("sh", ["-s"], {
        input: `say() { for w do printf '%s\\0' "$w"; done; printf '\\n\\0'; }\n${lines.join("\n")}\n`,
        encoding: "utf8",
        maxBuffer: 2 ** 28,
    });
    const told = shell.stdout.split("\n\0").map((each) => each.split("\0").slice(0, -1));
    expect(told.slice(0, -1)).toEqual([...commands.values()]);
    expect(shell.stderr).toBe("");
    expect(existsSync(canary)).toBe(false);
    console.log(JSON.stringify({ seed, passed, failed, commands: commands.size }));
    expect(Math.min(passed, failed)).toBeGreaterThan(CASES / 20);
});

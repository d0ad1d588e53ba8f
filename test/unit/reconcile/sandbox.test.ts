/** The hosts of these tests leave nothing behind. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Sandbox, sweep } from "./sandbox";

const roots: string[] = [];

test("a host is there while its test runs, also one that the test has lost sight of", () => {
    let host = new Sandbox();
    roots.push(host.root);
    host = new Sandbox();
    roots.push(host.root);
    expect(roots.map((root) => existsSync(root))).toEqual([true, true]);
});

test("and gone after it", () => {
    expect(roots.map((root) => existsSync(root))).toEqual([false, false]);
});

test("what a killed run left is swept, and what a running one has is not", () => {
    const mine = new Sandbox();
    const left = join(tmpdir(), `lvs-host-${spawnSync("true").pid}-left`);
    mkdirSync(join(left, "run"), { recursive: true });
    sweep();
    expect([existsSync(left), existsSync(mine.root)]).toEqual([false, true]);
});

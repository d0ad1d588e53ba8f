/** The command as a shell runs it, where it needs no host. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../support/lab";

/** Long for a command that only has to complain; a hang is longer. */
const LIMIT_MS = 60_000;

let empty: string;
beforeAll(() => {
    empty = mkdtempSync(join(tmpdir(), "lvs-main-"));
});
afterAll(() => rmSync(empty, { recursive: true }));

/** In a directory without a project, and with no other program on the PATH. */
function lvs(...words: string[]) {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [join(root, "dist/cli/main.js"), ...words], {
        cwd: empty,
        env: { PATH: empty, HOME: empty },
        encoding: "utf8",
        timeout: LIMIT_MS,
    });
    return { status, signal, stdout, stderr };
}

test("help goes to standard output, and is no mistake", () => {
    expect(lvs("--help")).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/^lvs: .*lvs doctor/s),
        stderr: "",
    });
});

test("without a command the same goes to standard error, and is one", () => {
    expect(lvs()).toMatchObject({ status: 2, stdout: "", stderr: expect.stringMatching(/^lvs: .*lvs doctor/s) });
});

test.each(["docter", "constructor"])("a command that does not exist is named, and so are those that do: %s", (name) => {
    const { status, stdout, stderr } = lvs(name);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^lvs: there is no command ${name}; there are doctor, status, `));
});

test("where there is no pulumi to ask for the stack's hosts, a command says so and ends", () => {
    const { status, signal, stderr } = lvs("doctor");
    expect({ status, signal }).toEqual({ status: 2, signal: null });
    expect(stderr).toMatch(/^lvs: no host is named, .* there is no `pulumi` on the PATH/);
});

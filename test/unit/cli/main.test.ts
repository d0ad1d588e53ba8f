/** The command as a shell runs it, where it needs no host. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
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
    return lvsIn(empty, ...words);
}

function lvsIn(directory: string, ...words: string[]) {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [join(root, "dist/cli/main.js"), ...words], {
        cwd: directory,
        env: { PATH: directory, HOME: directory },
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

test("a reader that has seen enough is no trouble", () => {
    const command = '"$1" "$2" --help | :';
    const words = ["-c", command, "sh", process.execPath, join(root, "dist/cli/main.js")];
    expect(spawnSync("/bin/sh", words, { encoding: "utf8", timeout: LIMIT_MS }).stderr).toBe("");
});

test("--version tells the package's", () => {
    const { version } = require(join(root, "package.json")) as { version: string };
    expect(lvs("--version")).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: "" });
});

test.each([
    ["status", "--needs", "mh"],
    ["drain", "192.0.2.21", "--restore"],
    ["import", "root@192.0.2.1", "--json"],
])("an option that the command would pass over is refused: %s %s %s", (...words) => {
    const { status, stdout, stderr } = lvs(...words);
    const option = words.find((word) => word.startsWith("--"));
    expect({ status, stdout, stderr }).toEqual({
        status: 2,
        stdout: "",
        stderr: `lvs: lvs ${words[0]} takes no ${option} (lvs --help)\n`,
    });
});

test("where there is no pulumi to ask for the stack's hosts, a command says so and ends", () => {
    const { status, signal, stderr } = lvs("doctor");
    expect({ status, signal }).toEqual({ status: 2, signal: null });
    expect(stderr).toMatch(/^lvs: no host is named, .* there is no `pulumi` on the PATH/);
});

test("a name that the stack's lvs:hosts does not have is taken for an address, and that is said", () => {
    const project = join(empty, "project");
    mkdirSync(project);
    writeFileSync(join(project, "Pulumi.yaml"), "name: shop\nruntime: nodejs\n");
    writeFileSync(join(project, "pulumi"), `#!/bin/sh\necho '{ "lb1": { "host": "192.0.2.1" } }'\n`, { mode: 0o755 });
    const { status, stderr } = lvsIn(project, "doctor", "lb2");
    expect(status).toBe(1);
    expect(stderr).toMatch(/^note: lvs:hosts has no entry lb2, only lb1: it is taken for an address\nlvs: lb2 was not/);
});

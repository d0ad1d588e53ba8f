/** The package as its users have it: installed from its tarball, and linked; in a project outside of the checkout. */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { shim } from "../../provider/dynamic/shim";
import { root } from "../support/lab";
import { pulumiEnvironment } from "../support/stack";
import { closedPort } from "./support/listener";

jest.setTimeout(300_000);

const run = promisify(execFile);
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

let directory: string;
let project: string;
let tarball: string;
let files: string[];

/** A user's program, run by the user's own copy of the Pulumi SDK: preview, then up, against a host that refuses. */
const PROGRAM = `
const { LocalWorkspace } = require("@pulumi/pulumi/automation");
const lvs = require("pulumi-lvs");

async function program() {
    const director = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
    const service = new lvs.VirtualService("web", { director, protocol: "tcp", address: "192.0.2.100", port: 80 });
    new lvs.RealServer("web1", { service, address: "192.0.2.21" });
}

async function main() {
    const options = { workDir: process.cwd(), envVars: { ...JSON.parse(process.env.SETTINGS) } };
    const stack = await LocalWorkspace.createOrSelectStack({ stackName: "s", projectName: "p", program }, options);
    const host = { host: "127.0.0.1", port: Number(process.env.REFUSING), password: "none", dialErrorLimit: 1 };
    await stack.setConfig("lvs:hosts", { value: JSON.stringify({ lb1: host }), secret: true });
    const providers = {};
    const result = { providers };
    const onEvent = ({ resourcePreEvent }) => {
        const { type, new: state } = resourcePreEvent?.metadata ?? {};
        if (state?.inputs?.__provider !== undefined) providers[type.split(":").pop()] = state.inputs.__provider;
    };
    result.changes = (await stack.preview({ onEvent })).changeSummary;
    try {
        await stack.up({ color: "never" });
    } catch (error) {
        result.error = error.message;
    }
    result.resources = ((await stack.exportStack()).deployment.resources ?? []).map(({ type }) => type);
    console.log("RESULT " + JSON.stringify(result));
    process.exit(0);
}
main();
`;

const TYPED = `
import * as pulumi from "@pulumi/pulumi";
import * as lvs from "pulumi-lvs";

const director = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
const service = new lvs.VirtualService("web", { director, protocol: "tcp", address: "192.0.2.100", port: 80 });
new lvs.RealServer("web1", { service, address: "192.0.2.21", forwarding: "dr", weight: 2 });
export const scheduler: pulumi.Output<string | undefined> = service.scheduler;
// @ts-expect-error: there is no such forwarding method
new lvs.RealServer("web2", { service, address: "192.0.2.22", forwarding: "drr" });
`;

async function npm(...args: string[]): Promise<void> {
    const quiet = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));
    await run("npm", [...args, ...quiet], { cwd: project, env });
}

beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "pulumi-lvs-package-"));
    project = join(directory, "project");
    mkdirSync(project);
    const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", directory], {
        cwd: root,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
    });
    const [pack] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
    tarball = join(directory, pack.filename);
    files = pack.files.map(({ path }) => path);
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "p", private: true }));
    writeFileSync(join(project, "program.js"), PROGRAM);
    writeFileSync(join(project, "typed.ts"), TYPED);
    const { "@pulumi/pulumi": pulumi, typescript } = manifest.devDependencies;
    await npm("install", tarball, `@pulumi/pulumi@${pulumi}`, `typescript@${typescript}`, "@types/node@20");
});

afterAll(() => {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

test("the tarball holds what is compiled and what is read, and nothing else", () => {
    const expected = /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|dist\/(sdk|provider|cli)\/.+\.(js|d\.ts))$/;
    expect(files.filter((path) => !expected.test(path))).toEqual([]);
    const needed = ["package.json", "dist/sdk/index.js", "dist/sdk/index.d.ts", "dist/provider/dynamic/index.js"];
    expect(files).toEqual(expect.arrayContaining(needed));
});

describe.each(["installed from the tarball", "linked"])("%s", (form) => {
    if (form === "linked") {
        beforeAll(async () => npm("install", "--install-links=false", root));
    }

    test("preview works, and up against a host that refuses fails well", async () => {
        const state = join(project, "state");
        rmSync(state, { recursive: true, force: true });
        mkdirSync(state);
        const settings = {
            ...pulumiEnvironment(),
            PULUMI_BACKEND_URL: `file://${state}`,
            PULUMI_CONFIG_PASSPHRASE: "test",
            PULUMI_HOME: join(directory, "home"),
        };
        const port = await closedPort();
        const { stdout } = await run(process.execPath, ["program.js"], {
            cwd: project,
            env: { ...process.env, ...settings, SETTINGS: JSON.stringify(settings), REFUSING: String(port) },
        });
        const result = JSON.parse(/^RESULT (.*)$/m.exec(stdout)?.[1] ?? "{}");
        expect(result.changes).toEqual({ create: 4 });
        expect(result.providers).toEqual(shim);
        expect(result.error).toMatch(/127\.0\.0\.1.*(refused|ECONNREFUSED)/);
        expect(result.error).not.toMatch(/node_modules|\n\s+at /);
        expect(result.resources.filter((type: string) => type.includes("lvs:"))).toEqual([]);
    });

    test("its types are right", async () => {
        const options = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"];
        const tsc = join(project, "node_modules", "typescript", "bin", "tsc");
        await run(process.execPath, [tsc, ...options, "typed.ts"], { cwd: project });
    });
});

/** The root project: each of its stacks, as its file describes it. */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { program } from "../../../topology";
import { run } from "./program";

const root = join(__dirname, "..", "..", "..");
const one = {
    directors: { lb1: { connection: "lb1" } },
    services: { web: { protocol: "tcp", address: "192.0.2.100", port: 80 } },
};
const withTopology = (topology: unknown, more: Record<string, string> = {}) => ({
    config: { "lvs:topology": typeof topology === "string" ? topology : JSON.stringify(topology), ...more },
});

test("makes the cluster that the config describes", async () => {
    const registered = await run(program, withTopology(one));
    expect(Object.keys(registered).sort()).toEqual([
        "Director lvs-lb1",
        "LvsCluster lvs",
        "VirtualService lvs-web-lb1",
    ]);
});

test("gives a real server's gateway on to each RealServer of it", async () => {
    const web1 = { address: "192.0.2.21", forwarding: "nat", connection: "web1", gateway: "192.0.2.10" };
    const services = { ...one.services, mail: { protocol: "tcp", address: "192.0.2.100", port: 25 } };
    const registered = await run(program, withTopology({ ...one, services, realServers: { web1 } }));
    const gateways = Object.entries(registered).map(([name, { inputs }]) => [name, inputs["gateway"]]);
    expect(Object.fromEntries(gateways.filter(([, gateway]) => gateway !== undefined))).toEqual({
        "RealServer lvs-web1-web-lb1": "192.0.2.10",
        "RealServer lvs-web1-mail-lb1": "192.0.2.10",
    });
});

test("calls it by lvs:cluster", async () => {
    const registered = await run(program, withTopology(one, { "lvs:cluster": "edge" }));
    expect(Object.keys(registered)).toContain("LvsCluster edge");
});

test.each<[string, Record<string, string>, RegExp]>([
    [
        "no topology",
        {},
        /^config lvs:topology is missing: describe directors, services and realServers in Pulumi\.prod\.yaml/,
    ],
    ["a text", { "lvs:topology": "lb1" }, /^config lvs:topology: expected a map with directors/],
    ["a list", { "lvs:topology": "[]" }, /^config lvs:topology: expected a map with directors/],
    ["a number", { "lvs:topology": "5" }, /^config lvs:topology: expected a map with directors/],
    ["an empty map", { "lvs:topology": "{}" }, /^LvsCluster lvs: directors: is required$/],
])("%s is said clearly", async (_, config, message) => {
    await run(async () => expect(program()).rejects.toThrow(message), { config });
});

test("Pulumi calls the function that the module exports", () => {
    expect(require("../../../topology")).toBe(program);
});

test("it is found and compiled as Pulumi's language host does it", () => {
    // cmd/run of @pulumi/pulumi: it starts in the directory of `main`, and compiles with the tsconfig.json there.
    const [, main] = /^main: (.+)$/m.exec(readFileSync(join(root, "Pulumi.yaml"), "utf8"))!;
    const program = join(root, main!);
    const host = `
        const load = require("node:module").createRequire(require.resolve("@pulumi/pulumi/cmd/run/run.js"));
        const { tsnodeRequire, typescriptRequire } = load("../../tsutils").typeScriptRequireStrings();
        load(tsnodeRequire).register({
            compiler: typescriptRequire,
            project: "tsconfig.json",
            skipProject: !require("node:fs").existsSync("tsconfig.json"),
            compilerOptions: { target: "ES2020", module: "nodenext", moduleResolution: "nodenext", sourceMap: "true" },
        });
        console.log(typeof require(${JSON.stringify(program)}));`;
    expect(statSync(program).isFile()).toBe(true); // Of a directory, package.json's entry would be run: the SDK.
    expect(execFileSync(process.execPath, ["-e", host], { cwd: dirname(program), encoding: "utf8" })).toBe(
        "function\n",
    );
});

test.each(["lab", "staging", "prod"])("the sample %s names nobody's addresses", (stack) => {
    const text = readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8");
    const addresses = [...text.matchAll(/\b\d+\.\d+\.\d+\.\d+\b/g)].map(([address]) => address);
    expect(addresses.length).toBeGreaterThan(0);
    // The lab's network, and those that are set aside for documentation.
    expect(addresses.filter((address) => !/^(10\.77\.1|192\.0\.2|198\.51\.100)\./.test(address))).toEqual([]);
});

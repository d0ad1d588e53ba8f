/** The root project: each of its stacks, as its file describes it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { program } from "../../../topology";
import { run } from "./program";

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

test("the project's files speak of no more than they should", () => {
    const root = join(__dirname, "..", "..", "..");
    const files = readdirSync(root).filter((name) => /^Pulumi\..+\.yaml$/.test(name));
    expect(files.sort()).toEqual(["Pulumi.lab.yaml", "Pulumi.prod.yaml", "Pulumi.staging.yaml"]);
    for (const file of files) {
        const text = readFileSync(join(root, file), "utf8");
        // A stack's salt and secrets are its owner's: these are samples.
        expect(text).not.toMatch(/encryptionsalt|secure:/);
        const public_ = [...text.matchAll(/\b\d+\.\d+\.\d+\.\d+\b/g)]
            .map(([address]) => address)
            .filter((address) => !/^(192\.0\.2|198\.51\.100|203\.0\.113|10\.77\.1)\./.test(address));
        expect({ file, public_ }).toEqual({ file, public_: [] });
    }
});

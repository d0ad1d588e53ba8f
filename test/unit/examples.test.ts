import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";

const examples = join(__dirname, "..", "..", "examples");

interface Made {
    name: string;
    type: string;
    inputs: Record<string, unknown>;
}

/** Runs an example's program without engine, and gives what it registers, in order. */
async function registered(example: string, hosts: Record<string, unknown>): Promise<Made[]> {
    const made: Made[] = [];
    await pulumi.runtime.setMocks(
        {
            newResource: ({ name, type, inputs }) => {
                made.push({ name, type, inputs });
                return { id: `${name}-id`, state: inputs };
            },
            call: () => ({}),
        },
        `lvs-${example}`,
        "lab",
        false,
        "organization",
    );
    pulumi.runtime.setAllConfig({ "lvs:hosts": JSON.stringify(hosts) });
    const { program } = require(join(examples, example, "index.ts")) as { program(): Promise<Record<string, unknown>> };
    const outputs = await program();
    await new Promise((resolve) => pulumi.all(outputs as Record<string, pulumi.Input<unknown>>).apply(resolve));
    return made;
}

const host = (name: string) => ({ host: `${name}.example.com`, user: "deploy" });
const all = { lb1: host("lb1"), web1: host("web1"), web2: host("web2") };

describe("examples/install", () => {
    test("installs the packages of every host over its connection before anything is set up there", async () => {
        const made = await registered("install", all);
        const at = (name: string) => made.findIndex((each) => each.name === name);
        for (const name of Object.keys(all)) {
            const { type, inputs } = made[at(`packages-${name}`)]!;
            expect(type).toBe("command:remote:Command");
            expect(inputs["create"]).toMatch(/apt-get .*\bkmod\b/);
            expect(JSON.stringify(inputs["connection"])).toContain(`${name}.example.com`);
            expect(at(`packages-${name}`)).toBeLessThan(at(name));
        }
        expect(made[at("packages-lb1")]!.inputs["create"]).toMatch(/\bipvsadm\b/);
        expect(made.filter(({ type }) => type.endsWith(":RealServer"))).toHaveLength(2);
    });
});

describe("every example", () => {
    const names = readdirSync(examples);

    test.each(names)("%s is a project that `pulumi up` takes, with a README", (name) => {
        const project = readFileSync(join(examples, name, "Pulumi.yaml"), "utf8");
        expect(project).toMatch(new RegExp(`^name: lvs-${name}$`, "m"));
        expect(project).toMatch(/^runtime: nodejs$/m);
        // Pulumi calls what a program exports if it is a function.
        const program = require(join(examples, name, "index.ts"));
        expect(typeof program).toBe("function");
        expect(program.program).toBe(program);
        expect(readFileSync(join(examples, name, "README.md"), "utf8")).toMatch(/^# /);
    });

    test.each(names.filter((name) => name !== "install"))(
        "%s has in its lab every host that it connects to",
        (name) => {
            const { hosts } = JSON.parse(readFileSync(join(examples, name, "lab.json"), "utf8"));
            const known = hosts.map((each: { name: string }) => each.name);
            const text = readFileSync(join(examples, name, "index.ts"), "utf8");
            const connections = [...text.matchAll(/connection: "(\w+)"/g)].map(([, each]) => each);
            expect(connections.length).toBeGreaterThan(2);
            expect(known).toEqual(expect.arrayContaining(connections));
        },
    );
});

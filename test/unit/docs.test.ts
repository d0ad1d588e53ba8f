import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseInputs } from "../../provider/inputs/parse";
import { realServer } from "../../provider/resources/realServer";
import type { Resource } from "../../provider/resources/resource";
import { virtualService } from "../../provider/resources/virtualService";

/** The docs say what the code says. */

const root = join(__dirname, "../..");

/** What the generator says, which is an ES module and reads the compiled package. */
const { pages, REPLACES, CONFIG } = JSON.parse(
    execFileSync(
        process.execPath,
        [
            "-e",
            `import(${JSON.stringify(join(root, "tools/docs.mjs"))}).then(({ builtPages, REPLACES, CONFIG }) =>
                process.stdout.write(JSON.stringify({ pages: builtPages(), REPLACES, CONFIG })))`,
        ],
        { encoding: "utf8" },
    ),
) as { pages: Record<string, string>; REPLACES: Record<string, string[]>; CONFIG: Record<string, string> };

function sources(...directories: string[]): string {
    return directories
        .flatMap((directory) =>
            readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
                .filter((name) => /\.(ts|mjs)$/.test(name))
                .map((name) => readFileSync(join(root, directory, name), "utf8")),
        )
        .join("\n");
}

function documents(): string[] {
    const below = readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" });
    return ["README.md", ...below.filter((name) => name.endsWith(".md")).map((name) => join("docs", name))];
}

test("the reference is up to date (npm run docs)", () => {
    const directory = join(root, "docs/reference");
    const written = Object.fromEntries(
        readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), "utf8")]),
    );
    expect(written).toEqual(pages);
});

test("every input of the reference has a description", () => {
    const bare = Object.entries(pages).flatMap(([name, text]) =>
        [...text.matchAll(/^\| `([^`]+)`.*\| *\|$/gm)].map(([, field]) => `${name}: ${field}`),
    );
    expect(bare).toEqual([]);
});

describe("the reference says rightly which change replaces", () => {
    const director = { name: "lb1", connection: "lb1" };
    const owner = "o/p/s#x/y";
    const service = { director, protocol: "tcp", address: "192.0.2.100", port: 80 };
    const cases: [Resource<never>, object, Record<string, unknown>][] = [
        [
            virtualService as unknown as Resource<never>,
            { ...service, owner },
            {
                protocol: "udp",
                address: "192.0.2.101",
                port: 81,
                scheduler: "rr",
                persistence: {},
                vip: { external: true },
                realServers: { "192.0.2.21": {} },
                drain: { timeout: 1 },
                adopt: true,
                deleteForeign: true,
            },
        ],
        [
            virtualService as unknown as Resource<never>,
            { director, fwmark: 1, owner },
            { fwmark: 2, family: "ipv6", marks: [{ protocol: "tcp", address: "192.0.2.100", port: 80 }] },
        ],
        [
            realServer as unknown as Resource<never>,
            { service, address: "192.0.2.21", forwarding: "nat", owner },
            {
                service: { ...service, port: 81 },
                address: "192.0.2.22",
                port: 8080,
                forwarding: "dr",
                weight: 2,
                connection: "web1",
                drain: { timeout: 1 },
                adopt: true,
            },
        ],
    ];
    test.each(
        cases.flatMap(([resource, base, changes]) =>
            Object.entries(changes).map(([name, value]) => [resource.type, name, resource, base, value] as const),
        ),
    )("%s: %s", (type, name, resource, base, value) => {
        const read = (raw: object) => {
            const { value: inputs, failures } = parseInputs(resource.schema, raw as Record<string, unknown>);
            expect(failures).toEqual([]);
            return inputs;
        };
        const replaced = resource.replacedBy(read(base), read({ ...base, [name]: value }));
        expect(replaced.includes(name)).toBe(REPLACES[type]!.includes(name));
    });
});

test("every key of the config is documented, and exists", () => {
    const text = sources("provider", "sdk", "topology");
    const full = [...text.matchAll(/"(lvs:\w+)"/g)].map(([, key]) => key!);
    const short = [...text.matchAll(/(?:Config\("lvs"\)|\bconfig)\.get\("(\w+)"\)/g)].map(([, key]) => `lvs:${key}`);
    expect([...new Set([...full, ...short])].sort()).toEqual(Object.keys(CONFIG).sort());
});

test("every code that the package can say is in the reference, and docs/checks.md names no other", () => {
    const said = [...sources("provider", "cli").matchAll(/"(LVS-[A-Z0-9-]+)"/g)].map(([, code]) => code!);
    const row = /^\| \[?`(LVS-[A-Z0-9-]+)`/gm;
    const listed = [...pages["codes.md"]!.matchAll(row)].map(([, code]) => code!);
    expect([...listed].sort()).toEqual([...new Set(said)].sort());
    const explained = [...readFileSync(join(root, "docs/checks.md"), "utf8").matchAll(row)].map(([, code]) => code!);
    expect(listed).toEqual(expect.arrayContaining(explained));
});

test("every link inside the docs leads somewhere", () => {
    const broken = documents().flatMap((file) =>
        [...readFileSync(join(root, file), "utf8").matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)]
            .filter(([, to]) => !existsSync(join(root, dirname(file), to!)))
            .map(([, to]) => `${file}: ${to}`),
    );
    expect(broken).toEqual([]);
});

test("every file that the docs name exists", () => {
    const missing = documents().flatMap((file) =>
        [
            ...readFileSync(join(root, file), "utf8").matchAll(
                /`((?:sdk|provider|cli|lab|demo|tools|test|docs|examples|topology)\/[\w./-]+\.\w+)`/g,
            ),
        ]
            .filter(([, name]) => !existsSync(join(root, name!)))
            .map(([, name]) => `${file}: ${name}`),
    );
    expect(missing).toEqual([]);
});

test("every npm script that the docs name exists", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: object };
    const named = documents().flatMap((file) =>
        [...readFileSync(join(root, file), "utf8").matchAll(/npm run (?:-s )?([a-z:]+)/g)].map(([, name]) => name!),
    );
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining([...new Set(named)]));
});

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

/** The diagram of docs/architecture.md, held against the imports. */

const root = join(__dirname, "../..");

interface Import {
    file: string;
    of: string;
}

/** Every import of the sources under a directory: static, dynamic, and required. */
function importsUnder(directory: string): Import[] {
    return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(ts|mjs)$/.test(name))
        .flatMap((name) => {
            const file = join(directory, name);
            const text = readFileSync(join(root, file), "utf8");
            const found = text.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*"([^"]+)"/g);
            return [...found].map(([, of]) => ({ file, of: of! }));
        });
}

/** The file of this checkout that an import leads to, without its extension; undefined: a package. */
function target({ file, of }: Import): string | undefined {
    return of.startsWith(".") ? relative(root, join(root, dirname(file), of)).replace(/\.(ts|mjs)$/, "") : undefined;
}

/** `provider/kinds/link` is kinds, `sdk/director` is sdk. */
function partOf(path: string): string {
    return path.replace(/^provider\//, "").split("/")[0]!;
}

const parts = readdirSync(join(root, "provider"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

function arrowsOfSources(): string[] {
    const arrows = new Set<string>();
    for (const each of [...importsUnder("sdk"), ...importsUnder("provider")]) {
        const to = target(each);
        if (to !== undefined && partOf(to) !== partOf(each.file)) arrows.add(`${partOf(each.file)} -> ${partOf(to)}`);
    }
    return [...arrows].sort();
}

const document = readFileSync(join(root, "docs/architecture.md"), "utf8");
const diagram = /```mermaid\n([\s\S]*?)```/.exec(document)![1]!;

test("the diagram has exactly the arrows that the imports have", () => {
    const drawn = [...diagram.matchAll(/^ +(\w+) -->(?:\|[^|]+\|)? (\w+)$/gm)].map(([, a, b]) => `${a} -> ${b}`);
    expect(drawn).toHaveLength(diagram.trim().split("\n").length - 1);
    expect(arrowsOfSources()).toEqual(drawn.sort());
});

test("the diagram has no cycle", () => {
    const arrows = arrowsOfSources().map((arrow) => arrow.split(" -> ") as [string, string]);
    const reach = (from: string, seen: string[] = []): string[] =>
        seen.includes(from)
            ? [...seen, from]
            : arrows.filter(([a]) => a === from).flatMap(([, b]) => reach(b, [...seen, from]));
    for (const [from] of arrows) expect(reach(from)).toEqual([]);
});

test("the table says of every part who talks to hosts and who knows Pulumi", () => {
    const rows = [...document.matchAll(/^\| `(?:provider\/)?(\w+)\/` \|.*\| (yes|no) \| (yes|no) \|$/gm)];
    expect(rows.map(([, part]) => part).sort()).toEqual(["sdk", ...parts].sort());
    expect(rows.filter(([, , hosts]) => hosts === "yes").map(([, part]) => part)).toEqual(["reconcile", "ssh"]);
    expect(rows.filter(([, , , pulumi]) => pulumi === "yes").map(([, part]) => part)).toEqual(["sdk", "dynamic"]);
});

test("the SDK imports of the provider the shim alone", () => {
    const foreign = importsUnder("sdk")
        .map(target)
        .filter((to) => to !== undefined && partOf(to) !== "sdk");
    expect(new Set(foreign)).toEqual(new Set(["provider/dynamic/shim"]));
});

test("inputs know of connections their schema alone", () => {
    const foreign = importsUnder("provider/inputs")
        .map(target)
        .filter((to) => to?.startsWith("provider/ssh/"));
    expect(new Set(foreign)).toEqual(new Set(["provider/ssh/connection"]));
});

test("only sdk and dynamic know Pulumi", () => {
    const knowing = [...importsUnder("sdk"), ...importsUnder("provider"), ...importsUnder("cli")]
        .filter(({ of }) => of.startsWith("@pulumi/"))
        .map(({ file }) => partOf(file));
    for (const part of new Set(knowing)) expect(["sdk", "dynamic"]).toContain(part);
});

test("only the apply half of reconcile reaches a host through ssh's session", () => {
    const session = importsUnder("provider")
        .filter((each) => target(each) === "provider/ssh/session")
        .map(({ file }) => file)
        .sort();
    // dynamic closes the connections when the process is told to end.
    expect(session).toEqual(["provider/dynamic/index.ts", "provider/reconcile/host.ts"]);
    const host = importsUnder("provider/reconcile").filter((each) => target(each) === "provider/reconcile/host");
    expect(new Set(host.map(({ file }) => file))).toEqual(new Set(["provider/reconcile/lifecycle.ts"]));
});

test("outside ssh nothing imports what does I/O", () => {
    const io = /^(node:)?(fs|net|http|https|tls|dgram|dns|child_process|worker_threads)(\/|$)|^ssh2$/;
    const found = [...importsUnder("sdk"), ...importsUnder("provider")]
        .filter(({ file, of }) => io.test(of) && partOf(file) !== "ssh")
        .map(({ file, of }) => `${file}: ${of}`);
    // What kind of standard input the engine gave us; and the stack's own file, for settings that are to hold at once.
    expect(found).toEqual(["provider/dynamic/index.ts: node:fs", "provider/dynamic/stackFile.ts: node:fs"]);
});

test.each(["lab", "demo", "examples", "topology"])("%s imports nothing of the provider's inside", (directory) => {
    const found = importsUnder(directory)
        .filter((each) => /^(provider|sdk|cli|dist)\//.test(target(each) ?? "") || each.of.startsWith("pulumi-lvs/"))
        .map(({ file, of }) => `${file}: ${of}`);
    expect(found).toEqual([]);
});

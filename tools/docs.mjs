#!/usr/bin/env node
/**
 * `npm run docs`: writes docs/reference/ from what the code says of itself: fields, ranges and descriptions from the
 * provider's schemas (zod), the rest from the SDK's doc comments. `pages()` is what a test compares the files with.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "./setup/places.mjs";

const require = createRequire(import.meta.url);
const NOTICE =
    "<!-- Written by `npm run docs`. Edit provider/inputs/, provider/checks/codes.ts or the comments in sdk/ instead. -->";

/** What a change of an input does, where it is more than an edit in place. Held against the resources by a test. */
export const REPLACES = {
    Director: [],
    VirtualService: ["protocol", "address", "port", "fwmark", "family"],
    RealServer: ["service", "address", "port"],
};

/** Configuration of the stack. Held against the sources by a test. */
export const CONFIG = {
    "lvs:hosts":
        "Connections by name: a map, or the same as a JSON string; secret, or with secret parts. See [Connection](connection.md).",
    "lvs:owner":
        "Who the stack is in the ledgers. Default: `organization/project/stack`. Set it before a stack is renamed or moved.",
    "lvs:onUnreachable":
        "`fail` (default) or `forget`: what refresh and destroy do about a host that cannot be reached. See [dead hosts](../guides/dead-hosts.md).",
    "lvs:commandTimeout": "Seconds that one script may take on a host, 1 to 3600. Default 60.",
    "lvs:topology":
        "Read by the project in the root of the repository alone: a topology as plain data. See [LvsCluster](lvscluster.md).",
    "lvs:cluster": "Read by the project in the root alone: the name of its LvsCluster. Default there: `lvs`.",
};

/**
 * Every page of the reference.
 * @param {(file: string) => any} load loads a source file by its path without extension
 * @returns {Record<string, string>} text by file name
 */
export function pages(load) {
    const comments = commentsOf("sdk");
    const schema = (file, name) => load(`provider/inputs/${file}`)[name];
    const resources = {
        Director: schema("director", "directorSchema"),
        VirtualService: schema("service", "virtualServiceSchema"),
        RealServer: schema("realServer", "realServerSchema"),
    };
    const { standsFor } = load("provider/inputs/fields");
    const written = Object.entries(resources).map(([type, of]) => [
        `${type.toLowerCase()}.md`,
        resourcePage(type, rowsOf(of, standsFor), comments),
    ]);
    return {
        "README.md": indexPage(),
        ...Object.fromEntries(written),
        "connection.md": connectionPage(rowsOf(load("provider/ssh/connection").connectionSchema, standsFor)),
        "lvscluster.md": clusterPage(comments),
        "config.md": configPage(),
        "commands.md": commandsPage(),
        "codes.md": codesPage(load("provider/checks/codes").codes),
        "sysctls.md": sysctlsPage(load("provider/ipvs/sysctls")),
        "versions.md": versionsPage(load("provider/ipvs/gates")),
    };
}

function indexPage() {
    return page("Reference", [
        "- [Director](director.md)\n- [VirtualService](virtualservice.md)\n- [RealServer](realserver.md)\n- [LvsCluster](lvscluster.md)\n- [Connection](connection.md)\n- [Configuration](config.md)\n- [Commands](commands.md)\n- [Settings of IPVS](sysctls.md)\n- [Versions of kernel and ipvsadm](versions.md)\n- [Codes of errors and warnings](codes.md)",
    ]);
}

function resourcePage(type, rows, comments) {
    const own = rows.filter(({ path }) => path !== "owner");
    const outputs = ["id", "owner", "drift", "token", "schema", ...(comments[type]?.kernel ? ["kernel"] : [])].map(
        (name) => [
            `\`${name}\``,
            name === "id" ? ID[type] : (comments[type]?.[name] ?? comments.LvsResource[name]).replace(/\s+/g, " "),
        ],
    );
    const replaces = REPLACES[type];
    return page(type, [
        comments[type][""],
        "## Inputs",
        ...(type === "VirtualService" ? ["A service is `protocol`, `address` and `port`, or else `fwmark`."] : []),
        replaces.length === 0
            ? "Every change is made in place."
            : `A change of ${list(replaces)} replaces the resource, because it is then another thing in the kernel. Every other change is made in place.`,
        inputsTable(own),
        "## Outputs",
        "Every input, and:",
        table(["output", ""], outputs),
    ]);
}

const ID = {
    Director: "The director's `name`.",
    VirtualService: "`<director>/tcp/192.0.2.100:80`, `<director>/fwm/1`, `<director>/fwm6/1`.",
    RealServer: "The service's ID and the real server: `<director>/tcp/192.0.2.100:80/192.0.2.21:80`.",
};

function connectionPage(rows) {
    return page("Connection", [
        "How to reach a host by SSH: an entry of `lvs:hosts`, or the input `connection` of a resource. The fields that `@pulumi/command` has too have its names, units and defaults. See [connections](../connections.md).",
        inputsTable(rows),
    ]);
}

function clusterPage(comments) {
    const args = (name) =>
        table(
            ["field", ""],
            Object.entries(comments[name])
                .filter(([field]) => field !== "")
                .map(([field, text]) => [`\`${field}\``, text.replace(/\s+/g, " ")]),
        );
    return page("LvsCluster", [
        comments.LvsCluster[""],
        "## Inputs",
        args("LvsClusterArgs"),
        "A **director** takes the inputs of a [Director](director.md). A **service** takes those of a [VirtualService](virtualservice.md), but for `director`:",
        args("ClusterServiceArgs"),
        "A **real server** takes the inputs of a [RealServer](realserver.md), but for `service`:",
        args("ClusterRealServerArgs"),
        "A name that leads nowhere is an error, before anything is registered.",
    ]);
}

const MOMENTS = {
    preview: "in a preview, from the program alone",
    apply: "on a host, before anything is touched",
    both: "as soon as it is known",
    run: "from ledgers, or when a script came back",
};

function codesPage(codes) {
    return page("Codes", [
        "Every code that the provider can say. An error stops the operation; a warning is printed. What to do about the most frequent ones: [codes and remedies](../checks.md).",
        table(
            ["code", "", "what it is about", "said"],
            Object.entries(codes).map(([code, { severity, moment, title }]) => [
                existsSync(join(root, "docs", "checks", `${code}.md`))
                    ? `[\`${code}\`](../checks/${code}.md)`
                    : `\`${code}\``,
                severity,
                title,
                MOMENTS[moment],
            ]),
        ),
    ]);
}

function sysctlsPage({ vsSettings, takesWords }) {
    return page("Settings of IPVS", [
        "`net.ipv4.vs.NAME`, for `sysctls` of a Director. What a setting does not take is refused in a preview ([LVS-SYSCTL-VALUE](../checks/LVS-SYSCTL-VALUE.md)), also where the kernel would take it and it means nothing; a setting that the running kernel does not have is refused before anything is touched ([LVS-SYSCTL](../checks/LVS-SYSCTL.md)).",
        table(
            ["name", "takes", "default", "since", ""],
            vsSettings.map(({ name, takes, title, since, default: start }) => [
                `\`${name}\``,
                takesWords(takes),
                start ?? "",
                since ?? "",
                title,
            ]),
        ),
        "Of `drop_entry`, `drop_packet` and `secure_tcp` the kernel itself moves 1 to 2 and back: no difference.",
    ]);
}

function versionsPage({ kernelGates, ipvsadmOptions }) {
    return page("Versions", [
        "The first kernel that has what came after IPVS itself:",
        table(
            ["", "kernel"],
            kernelGates.map(({ title, since }) => [title, since]),
        ),
        "The first ipvsadm that has an option which is used:",
        table(
            ["option", "for", "ipvsadm"],
            ipvsadmOptions.map(({ option, title, since }) => [`\`--${option}\``, title, since]),
        ),
        "Distributions bring features back: what a host shows to have, it has. [What a kernel and a host have](../guides/kernel-checks.md) tells how to see.",
    ]);
}

function configPage() {
    return page("Configuration", [
        "Keys of the stack's config, in `Pulumi.<stack>.yaml` or by `pulumi config set`:",
        table(
            ["key", ""],
            Object.entries(CONFIG).map(([key, text]) => [`\`${key}\``, text]),
        ),
        "For `refresh` and `destroy` Pulumi hands a dynamic provider the configuration that the last `up` saved. `lvs:onUnreachable` and `lvs:commandTimeout` are therefore looked up in `Pulumi.<stack>.yaml` first, and hold at once where they stand there in clear, or no longer stand there; a change of `lvs:hosts` holds from the next `up`.",
    ]);
}

/** What `lvs --help` prints. */
function commandsPage() {
    const help = execFileSync(process.execPath, [join(root, "dist", "cli", "main.js"), "--help"], { encoding: "utf8" });
    return page("Commands", [
        "`npx lvs` looks at hosts beside Pulumi. What the commands have in common, and what `--json` prints: [the lvs command](../cli.md). Guides: [taking over a director](../guides/adopt.md), [the commands behind a stack](../guides/script.md), [draining](../guides/drain.md), [maintenance](../guides/maintenance.md), [the ledger](../ledger.md).",
        `\`\`\`text\n${help.trimEnd()}\n\`\`\``,
    ]);
}

/**
 * @typedef {{ path: string, type: string, required: boolean, text: string }} Row
 * The fields of a schema, nested ones by their paths.
 * @param {any} schema @param {WeakMap<object, any>} standsFor @returns {Row[]}
 */
export function rowsOf(schema, standsFor, prefix = "") {
    return Object.entries(shapeOf(schema)).flatMap(([name, field]) => {
        const path = prefix + name;
        const { inner, required, fallback, description } = unwrapped(field);
        const text = [description, fallback].filter(Boolean).join(" ");
        // The SDK fills in what the schema needs and a user may leave out.
        const row = { path, type: typeOf(inner, standsFor), required: required && !text.includes("Default"), text };
        return [row, ...childrenOf(inner, standsFor, path)];
    });
}

/** What a resource is told of another has a page of its own; so has a connection. */
function childrenOf(inner, standsFor, path) {
    const def = inner._zod.def;
    if (def.type === "object")
        return /^(director|service|proxy)$/.test(path) ? [] : rowsOf(inner, standsFor, `${path}.`);
    if (def.type === "array") return childrenOf(unwrapped(def.element).inner, standsFor, `${path}[]`);
    if (def.type === "record" && unwrapped(def.valueType).inner._zod.def.type === "object") {
        return rowsOf(unwrapped(def.valueType).inner, standsFor, `${path}.<key>.`);
    }
    return [];
}

function shapeOf(schema) {
    const { inner } = unwrapped(schema);
    return inner._zod.def.shape;
}

/** Without optional, default and what is done with a value afterwards. */
function unwrapped(schema) {
    let inner = schema;
    let required = true;
    let fallback = "";
    let description = "";
    for (;;) {
        const def = inner._zod.def;
        description ||= inner.description ?? "";
        if (def.type === "optional") required = false;
        else if (def.type === "default") {
            required = false;
            fallback = `Default ${JSON.stringify(def.defaultValue)}.`.replaceAll('"', "");
        } else if (def.type !== "pipe") return { inner, required, fallback, description };
        inner = def.type === "pipe" ? def.in : def.innerType;
    }
}

function typeOf(inner, standsFor) {
    const def = inner._zod.def;
    switch (def.type) {
        case "string":
            return "text";
        case "boolean":
            return "boolean";
        case "number":
            return inner.format?.includes("int") && Number.isFinite(inner.minValue)
                ? `${inner.minValue} to ${Math.abs(inner.maxValue) >= Number.MAX_SAFE_INTEGER ? "…" : inner.maxValue}`
                : "number";
        case "enum":
            return Object.values(def.entries)
                .map((each) => `\`${each}\``)
                .join(" ");
        case "array":
            return `list of ${typeOf(unwrapped(def.element).inner, standsFor)}`;
        case "record":
            return `map to ${typeOf(unwrapped(def.valueType).inner, standsFor)}`;
        case "union":
            return [...new Set(def.options.map((each) => typeOf(unwrapped(each).inner, standsFor)))].join(" or ");
        case "custom":
            return standsFor.has(inner) ? "[connection](connection.md)" : "map";
        case "object":
            return "map";
        default:
            throw new Error(`no words for a schema of type ${def.type}`);
    }
}

function inputsTable(rows) {
    return table(
        ["input", "type", ""],
        rows.map(({ path, type, required, text }) => [`\`${path}\`${required ? " (required)" : ""}`, type, text]),
    );
}

/** Doc comments of the sources under a directory: of each class, interface and type, and of their members. */
function commentsOf(directory) {
    const ts = require("typescript");
    const comments = {};
    const files = ts.sys.readDirectory(join(root, directory), [".ts"]);
    for (const file of files) {
        const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, true);
        source.forEachChild((node) => {
            const name = node.name?.text;
            if (name === undefined) return;
            const own = {};
            const say = (key, at) => {
                const text = ts.getTextOfJSDocComment(ts.getJSDocCommentsAndTags(at).find(ts.isJSDoc)?.comment);
                if (text !== undefined) own[key] = text;
            };
            say("", node);
            const visit = (at) => {
                if ((ts.isPropertySignature(at) || ts.isPropertyDeclaration(at)) && at.name) say(at.name.getText(), at);
                else at.forEachChild(visit);
            };
            node.forEachChild(visit);
            if (Object.keys(own).length > 0) comments[name] = own;
        });
    }
    return comments;
}

function page(title, paragraphs) {
    return `${NOTICE}\n\n# ${title}\n\n${paragraphs.join("\n\n")}\n`;
}

function table(head, rows) {
    const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function list(names) {
    const quoted = names.map((name) => `\`${name}\``);
    return quoted.length === 1 ? quoted[0] : `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
}

/** The pages from the compiled package. */
export const builtPages = () => pages((file) => require(join(root, "dist", file)));

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const { ensure } = await import("./setup.mjs");
    await ensure();
    const directory = join(root, "docs", "reference");
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    for (const [name, text] of Object.entries(builtPages())) writeFileSync(join(directory, name), text);
}

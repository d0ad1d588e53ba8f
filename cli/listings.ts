/** What was imported, as texts: a program in TypeScript, or the topology form of a stack's config. Pure. */
import { comment } from "./comment";
import { type Entry, type Field, type Fields, type Imported, slug } from "./imported";
import { indented, member } from "./yaml";

/** Connections by name, as `lvs:hosts` takes them. Without credentials. */
export type Hosts = Record<string, Fields>;

/** What stands at the top of both: what `up` and `destroy` will do. */
function heading({ notes, director, services, realServers }: Imported, source: string): string[] {
    const aside = [director, ...services, ...realServers].filter(({ obstacles }) => obstacles.length > 0).length;
    return [
        `Made by \`lvs import\` of what the kernel of ${source} held.`,
        "",
        "The first `pulumi up` takes it over (`adopt: true`) and changes nothing there: no rule is edited and no traffic is touched; ledger and boot files are added. What it adopts is this stack's from then on, and `pulumi destroy` removes it: services, real servers, sync daemons. Settings, modules and addresses that are right already are claimed as found, and stay.",
        "",
        ...(aside === 0
            ? []
            : [`${aside} of the entries below stand in comments, each with the reason: they stay as they are.`, ""]),
        ...notes.flatMap((note) => [note, ""]),
    ];
}

/** A program with a Director, VirtualServices and RealServers. `source`: the director, in a person's words. */
export function program(given: Imported, hosts: Hosts, source: string): string {
    const { director, services, realServers } = given;
    const variables = new Map(services.map(({ name }) => [name, name.replaceAll("-", "_")]));
    return text([
        ...comment("//", [
            ...heading(given, source),
            "Connections stand in Pulumi.<stack>.yaml; credentials belong there as secrets (docs/connections.md):",
        ]),
        ...configLines(hosts).map((line) => `//     ${line}`),
        'import * as lvs from "pulumi-lvs";',
        "",
        ...declared(director, "const director = ", "Director", director.name, {}),
        ...services.flatMap((entry) =>
            declared(entry, `const ${variables.get(entry.name)} = `, "VirtualService", entry.name, {
                director: "director",
            }),
        ),
        ...realServers.flatMap((entry) =>
            entry.services.flatMap(({ service, name }) =>
                declared(entry, "", "RealServer", name, {
                    service: variables.get(service) ?? slug(service).replaceAll("-", "_"),
                }),
            ),
        ),
    ]);
}

/** One resource. `references`: inputs that are variables of the program. */
function declared(
    { fields, notes, obstacles }: Entry,
    start: string,
    type: string,
    name: string,
    references: Record<string, string>,
): string[] {
    const inputs = [
        ...Object.entries(references).map(([input, variable]) =>
            input === variable ? input : `${input}: ${variable}`,
        ),
        ...Object.entries(fields).map(([input, value]) => `${key(input)}: ${literal(value)}`),
    ];
    const lines = [
        `${start}new lvs.${type}(${JSON.stringify(name)}, {`,
        ...inputs.map((input) => `    ${input},`),
        "});",
    ];
    return [
        ...comment("//", [...notes, ...obstacles.map((why) => `Left as it is: ${why}`)]),
        ...(obstacles.length === 0 ? lines : lines.map((line) => `// ${line}`)),
        "",
    ];
}

function literal(value: Field): string {
    if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
    if (typeof value !== "object") return JSON.stringify(value);
    const members = Object.entries(value).map(([name, inner]) => `${key(name)}: ${literal(inner)}`);
    return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

function key(name: string): string {
    return /^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name);
}

/** A stack's config with the connections alone. */
export function stackConfig(hosts: Hosts): string {
    return text(configLines(hosts));
}

function configLines(hosts: Hosts): string[] {
    return ["config:", ...indented(member("lvs:hosts", hosts))];
}

/** A stack's config with the topology, for the topology project and for LvsCluster. */
export function topology(given: Imported, hosts: Hosts, source: string): string {
    const { director, services, realServers } = given;
    return text([
        ...comment("#", heading(given, source)),
        "# Credentials belong here as secrets: pulumi config set --path 'lvs:hosts.NAME.privateKey' --secret",
        ...configLines(hosts),
        "    lvs:topology:",
        ...indented(indented(section("directors", [director]))),
        ...indented(indented(section("services", services))),
        ...indented(
            indented(
                section(
                    "realServers",
                    realServers.map((entry) => ({
                        ...entry,
                        fields: { ...ofServices(entry.services.map(({ service }) => service)), ...entry.fields },
                    })),
                ),
            ),
        ),
    ]);
}

function ofServices(names: string[]): Fields {
    return names.length === 1 ? { service: names[0]! } : { services: names };
}

function section(name: string, entries: Entry[]): string[] {
    const lines = entries.flatMap((entry) => {
        const own = member(entry.name, entry.fields);
        return [
            ...comment("#", [...entry.notes, ...entry.obstacles.map((why) => `Left as it is: ${why}`)]),
            ...(entry.obstacles.length === 0 ? own : own.map((line) => `# ${line}`)),
        ];
    });
    const live = entries.some(({ obstacles }) => obstacles.length === 0);
    return [live ? `${name}:` : `${name}: {}`, ...indented(lines)];
}

function text(lines: string[]): string {
    return `${lines.join("\n").trimEnd()}\n`;
}

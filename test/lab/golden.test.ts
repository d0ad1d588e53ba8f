/**
 * What earlier versions left behind: their states, and the ledgers and boot files of their hosts, kept as they were made.
 * Every later version must refresh, update and destroy them. To keep this version's: LVS_GOLDEN=keep.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment } from "@pulumi/pulumi/automation";
import { version } from "../../package.json";
import { type Lab, startLab } from "../support/lab";
import { secretsShown } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";

const golden = join(__dirname, "golden");
const HOSTS = ["lb1", "web1", "web2"];
/** In place of what is of one lab alone. */
const LVS_HOSTS = "<lvs:hosts>";
const MACHINE = "machine <machine>";

let lab: Lab;
let before: Record<string, Snapshot>;

type Files = Record<string, { mode: string; text: string }>;

async function filesOf(host: string): Promise<Files> {
    const list = await lab.sh(
        host,
        "stat -c '%a %n' /var/lib/pulumi-lvs/boot /var/lib/pulumi-lvs/*.claims /etc/systemd/system/pulumi-lvs*",
    );
    const files = list
        .trim()
        .split("\n")
        .map(async (line) => {
            const [mode, path] = line.split(" ") as [string, string];
            const text = (await lab.sh(host, `cat ${path}`)).replace(/^machine .*$/m, MACHINE);
            return [path, { mode, text }] as const;
        });
    return Object.fromEntries(await Promise.all(files));
}

/** A host as that version left it: its files, and what they say set by its own boot script. */
async function restore(host: string, files: Files): Promise<void> {
    const write = Object.entries(files).map(
        ([path, { mode, text }]) => `cat >${path} <<'GOLDEN'\n${text}GOLDEN\nchmod ${mode} ${path}`,
    );
    await lab.sh(
        host,
        `umask 077; mkdir -p /var/lib/pulumi-lvs
${write.join("\n")}
machine="$(cat /etc/machine-id) $(cat /sys/class/dmi/id/product_uuid 2>/dev/null)"
sed -i "s|^${MACHINE}$|machine \${machine% }|" /var/lib/pulumi-lvs/*.claims
systemctl -q enable pulumi-lvs.service
sh /var/lib/pulumi-lvs/boot`,
    );
}

/** The deployment with every text that holds a connection replaced by what `replace` makes of it. */
const withHosts = (deployment: Deployment, replace: (text: string) => string): Deployment =>
    JSON.parse(JSON.stringify(deployment), (_, value: unknown) =>
        typeof value === "string" ? replace(value) : value,
    ) as Deployment;

async function keep(): Promise<void> {
    const directory = join(golden, version);
    mkdirSync(directory, { recursive: true });
    const { program } = require(join(directory, "program")) as { program: (weight: number) => () => Promise<void> };
    const stack = await makeStack({
        program: program(2),
        project: "golden",
        name: "golden",
        config: { "lvs:hosts": lab.lvsHosts(...HOSTS) },
    });
    await stack.up();
    const kept = withHosts(await stack.stack.exportStack(), (text) =>
        text.includes("PRIVATE KEY") ? LVS_HOSTS : text,
    );
    // Where in a program a resource was declared is nobody's concern here.
    const text = JSON.stringify(
        kept,
        (key, value) => (/^(stackTrace|sourcePosition)$/.test(key) ? undefined : value),
        4,
    );
    writeFileSync(join(directory, "state.json"), `${text}\n`);
    const hosts = Object.fromEntries(await Promise.all(HOSTS.map(async (host) => [host, await filesOf(host)])));
    writeFileSync(join(directory, "hosts.json"), `${JSON.stringify(hosts, null, 4)}\n`);
    await stack.destroy();
    await stack.remove();
}

beforeAll(async () => {
    lab = await startLab(join(golden, "hosts.json"));
    before = await snapshots(lab);
    if (process.env["LVS_GOLDEN"] === "keep") await keep();
});
afterAll(() => lab?.down());

const versions = readdirSync(golden, { withFileTypes: true }).filter((each) => each.isDirectory());

describe.each(versions.map(({ name }) => name))("what version %s has made", (name) => {
    const read = (file: string) => JSON.parse(readFileSync(join(golden, name, file), "utf8"));
    const { program } = require(join(golden, name, "program")) as { program: (weight: number) => () => Promise<void> };
    let stack: TestStack;

    beforeAll(async () => {
        const hosts = read("hosts.json") as Record<string, Files>;
        await Promise.all(Object.entries(hosts).map(([host, files]) => restore(host, files)));
        const config = lab.lvsHosts(...HOSTS);
        stack = await makeStack({
            program: program(2),
            project: "golden",
            name: "golden",
            config: { "lvs:hosts": config },
        });
        await stack.stack.importStack(
            withHosts(read("state.json"), (text) => (text === LVS_HOSTS ? JSON.stringify(config) : text)),
        );
    });
    afterAll(() => stack?.remove());

    test("is refreshed: nothing but what that version did not make so shows a difference", async () => {
        await stack.refresh();
        const { resources } = (await stack.stack.exportStack()).deployment as {
            resources: { outputs?: { drift?: object } }[];
        };
        expect(resources).toHaveLength(13);
        const drift = resources.flatMap(({ outputs }) => Object.keys(outputs?.drift ?? {}));
        // The boot files, which are of their version, and what was no default then: the segment size for tunnels, and
        // that a director by nat on one arm sends no redirects.
        const later = /^(boot pulumi-lvs\.service|mss .*|table inet pulumi_lvs|sysctl .*\.send_redirects)$/;
        expect(drift.filter((each) => !later.test(each))).toEqual([]);
    });

    test("is updated in place, and then there is nothing left to do", async () => {
        await stack.use(program(5));
        expect((await stack.up()).changes).toEqual({ update: expect.any(Number) });
        expect(await lab.sh("lb1", "ipvsadm -Sn")).toContain("-a -t 10.77.1.100:80 -r 10.77.1.21:80 -g -w 5\n");
        expect((await stack.preview()).changes).toEqual({});
    });

    test("is destroyed, and its hosts are as they were found", async () => {
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(lab, stack)).toEqual([]);
    });
});

/**
 * Maintenance by hand: the `lvs` command as a user runs it, in a Pulumi project's directory, against two directors with a
 * real IPVS kernel whose resources the real provider process makes and edits.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Properties, ProviderProcess, type State } from "../protocol/support/process";
import { type Lab, type Result, root, startLab } from "../support/lab";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { pulumiEnvironment } from "../support/stack";

const VIP = "10.77.1.100";
const RIP = "10.77.1.21";
const SERVICE = `tcp/${VIP}:80`;
const SERVER = `${SERVICE}/${RIP}:80`;
const STACK = "organization/shop/prod";

let lab: Lab;
let provider: ProviderProcess;
let asFound: Record<string, Snapshot>;
let project: string;
let environment: NodeJS.ProcessEnv;
let web: { lb1: State; lb2: State };
let web1: State;

const owner = (type: ResourceType, name: string) => ({ owner: `${STACK}#${type}/${name}` });
const director = (name: string) => ({ name, connection: name });
const service = (name: string, more: Properties = {}): Properties => ({
    director: { ...director(name), interface: "eth0" },
    ...{ protocol: "tcp", address: VIP, port: 80, scheduler: "wrr", ...owner("VirtualService", `web-${name}`) },
    ...more,
});
const realServer = (more: Properties = {}, name = "web1"): Properties => ({
    service: { director: director("lb1"), protocol: "tcp", address: VIP, port: 80 },
    ...{ address: RIP, connection: "web1", weight: 3, ...owner("RealServer", name) },
    ...more,
});

/** A program of the user's, in the project's directory. */
function run(program: string, words: string[], input = ""): Promise<Result> {
    return new Promise((resolve, reject) => {
        const child = spawn(program, words, { cwd: project, env: environment });
        const result: Result = { status: 255, stdout: "", stderr: "" };
        for (const stream of ["stdout", "stderr"] as const) {
            child[stream].setEncoding("utf8").on("data", (text: string) => {
                result[stream] += text;
            });
        }
        child.once("error", reject);
        child.once("close", (status) => resolve({ ...result, status: status ?? 255 }));
        child.stdin.end(input);
    });
}

const lvs = (...words: string[]) => run(process.execPath, [join(root, "dist", "cli", "main.js"), ...words]);

async function pulumi(words: string[], input?: string): Promise<string> {
    const { status, stdout, stderr } = await run("pulumi", words, input);
    if (status !== 0) throw new Error(`pulumi ${words.join(" ")}: ${stderr}`);
    return stdout;
}

/** The stack's state, as the engine would have written it after these. */
async function stateIs(...states: State[]): Promise<void> {
    const exported = JSON.parse(await pulumi(["stack", "export"]));
    const urn = (type: string, name: string) => `urn:pulumi:prod::shop::${type}::${name}`;
    const backing = { type: "pulumi:providers:pulumi-nodejs", id: "3f1c", name: "default" };
    exported.deployment.resources = [
        { urn: urn("pulumi:pulumi:Stack", "shop-prod"), custom: false, type: "pulumi:pulumi:Stack" },
        { urn: urn(backing.type, backing.name), custom: true, id: backing.id, type: backing.type },
        ...states.map(({ type, id, inputs, outputs }, index) => ({
            urn: urn(`pulumi-nodejs:dynamic/lvs:${type}`, `r${index}`),
            custom: true,
            ...{ id, inputs, outputs, type: `pulumi-nodejs:dynamic/lvs:${type}` },
            provider: `${urn(backing.type, backing.name)}::${backing.id}`,
        })),
    ];
    await pulumi(["stack", "import"], JSON.stringify(exported));
}

/** The kernel's weight of the real server, on each director. */
async function weights(): Promise<(number | undefined)[]> {
    return Promise.all(
        ["lb1", "lb2"].map(async (host) => {
            const found = new RegExp(`-a -t ${VIP}:80 -r ${RIP}:80 .*-w (\\d+)`).exec(
                await lab.sh(host, "ipvsadm -Sn"),
            );
            return found === null ? undefined : Number(found[1]);
        }),
    );
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "maintenance.json"));
    asFound = await snapshots(lab);
    project = mkdtempSync(join(tmpdir(), "lvs-maintenance-"));
    mkdirSync(join(project, "state"));
    environment = {
        ...process.env,
        ...pulumiEnvironment(),
        PULUMI_BACKEND_URL: `file://${join(project, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        PULUMI_HOME: join(project, "home"),
    };
    writeFileSync(join(project, "Pulumi.yaml"), "name: shop\nruntime: nodejs\n");
    const hosts = lab.lvsHosts("lb1", "lb2", "web1");
    const prepared = pulumi(["stack", "init", "prod"]).then(() =>
        pulumi(["config", "set", "--secret", "lvs:hosts", "--", hosts]),
    );
    provider = await ProviderProcess.start({ "lvs:hosts": hosts });
    await prepared;
    const [lb1, lb2, server] = await Promise.all([
        provider.create("VirtualService", service("lb1")),
        provider.create(
            "VirtualService",
            service("lb2", { vip: { external: true }, realServers: { [RIP]: { weight: 2 } } }),
        ),
        lab
            .sh("web1", "setsid socat TCP-LISTEN:80,fork,reuseaddr PIPE > /dev/null 2>&1 < /dev/null &")
            .then(() => undefined),
    ]);
    void server;
    web = { lb1, lb2 };
    web1 = await provider.create("RealServer", realServer());
    await stateIs(web.lb1, web.lb2, web1);
});

afterAll(async () => {
    await provider?.stop();
    await lab?.down();
    if (project !== undefined) rmSync(project, { recursive: true, force: true });
});

test("status shows both directors: who declared what, what differs, and whose nothing is", async () => {
    await lab.sh("lb1", `ipvsadm -a -t ${VIP}:80 -r 10.77.1.99:80 -g -w 1`);
    await lab.sh("lb2", `ipvsadm -e -t ${VIP}:80 -r ${RIP}:80 -g -w 7`);
    const { status, stdout, stderr } = await lvs("status", "lb1", "lb2", "--json", "--stats", "--rate");
    expect([status, stderr]).toEqual([0, ""]);
    const counters = { connections: 0, inPackets: 0, outPackets: 0, inBytes: 0, outBytes: 0 };
    const claim = (type: string, name: string) => expect.objectContaining({ owner: `${STACK}#${type}/${name}` });
    const [lb1, lb2] = JSON.parse(stdout);
    expect(lb1).toMatchObject({
        host: "lb1",
        services: [
            {
                service: SERVICE,
                kernel: { scheduler: "wrr" },
                claims: [claim("VirtualService", "web-lb1")],
                differs: [],
                ...{ stats: counters, rate: counters },
            },
        ],
    });
    expect(lb1.services[0].realServers).toHaveLength(2);
    expect(lb1.services[0].realServers).toEqual(
        expect.arrayContaining([
            expect.objectContaining({ realServer: "10.77.1.99:80", claims: [], differs: [], stats: counters }),
            expect.objectContaining({
                realServer: `${RIP}:80`,
                kernel: expect.objectContaining({ weight: 3 }),
                claims: [claim("RealServer", "web1")],
                ...{ differs: [], maintenance: false, active: 0 },
            }),
        ]),
    );
    expect(lb2.services[0].realServers[0]).toMatchObject({ kernel: { weight: 7 }, differs: ["weight"] });
    // Without hosts: all that lvs:hosts has, real servers too.
    const text = (await lvs("status")).stdout;
    expect(text).toMatch(/10\.77\.1\.99:80 dr weight 1 active 0 inactive 0 \[nobody's\]/);
    expect(text).toMatch(/10\.77\.1\.21:80 dr weight 7 .*, declared weight 2 \[VirtualService\/web-lb2 of /);
    expect(text).toMatch(/^web1\n {2}no services$/m);
    await lab.sh("lb1", `ipvsadm -d -t ${VIP}:80 -r 10.77.1.99:80`);
});

test("drain: weight 0 and a mark on every director that has it; connections are counted, and waited for", async () => {
    await lab.sh(
        "client",
        `rm -f /tmp/enough; mkfifo /tmp/talk
        setsid socat - TCP:${VIP}:80 < /tmp/talk > /tmp/heard 2>&1 &
        setsid sh -c 'echo hello; while [ ! -e /tmp/enough ]; do sleep 0.1; done' > /tmp/talk 2>/dev/null < /dev/null &
        for i in $(seq 300); do [ -s /tmp/heard ] && exit 0; sleep 0.1; done; exit 1`,
    );
    const first = await lvs("drain", RIP, "--wait", "1");
    expect(first.stdout).toContain(
        `lb1 ${SERVER}: under maintenance, weight 3 -> 0, 1 active connection [RealServer/web1 of ${STACK}]`,
    );
    expect(first.stdout).toContain(`lb2 ${SERVER}: under maintenance, weight 7 -> 0, 0 active connections`);
    expect(first.status).toBe(1);
    expect(await weights()).toEqual([0, 0]);
    expect(await lab.sh("lb1", "grep -h ^maintenance /var/lib/pulumi-lvs/*.claims")).toBe(`maintenance ${SERVER}\n`);
    await lab.sh("client", "touch /tmp/enough");
    const second = await lvs("drain", RIP, "lb1", "--wait", "60", "--json");
    expect(JSON.parse(second.stdout)).toEqual([
        {
            ...{ host: "lb1", key: SERVER, owners: [`RealServer/web1 of ${STACK}`] },
            ...{ marked: true, weight: { before: 0, now: 0 }, active: 0 },
        },
    ]);
    expect(second.status).toBe(0);
});

test("neither update, refresh, rename nor boot gives the weight back; all of them say why", async () => {
    provider.output();
    const found = await Promise.all([web1, web.lb2].map((state) => provider.read(state)));
    expect(found.map((state) => state?.outputs["drift"])).toEqual([undefined, undefined]);
    expect(provider.output()).toMatch(
        /note: lb1 .*: real server \S+ is under maintenance until `lvs undrain 10\.77\.1\.21`/,
    );

    const edited = realServer({ weight: 5, upperThreshold: 50 });
    const site1 = realServer({ weight: 5, upperThreshold: 50 }, "site1");
    const inline = service("lb2", { vip: { external: true }, realServers: { [RIP]: { weight: 4 } }, scheduler: "rr" });
    [web1, web.lb2] = await Promise.all([provider.update(web1, edited), provider.update(web.lb2, inline)]);
    const renamed = await provider.create("RealServer", site1);
    await provider.delete(web1);
    web1 = await provider.create("RealServer", site1);
    await provider.delete(renamed);
    expect(await weights()).toEqual([0, 0]);
    expect(await lab.sh("lb1", "ipvsadm -Ln --thresholds")).toMatch(/-> 10\.77\.1\.21:80 +50 /);
    expect(provider.output()).toMatch(/is under maintenance, its weight stays 0/);

    await Promise.all(["lb1", "lb2"].map((host) => lab.sh(host, "ipvsadm -C; sh /var/lib/pulumi-lvs/boot")));
    expect(await weights()).toEqual([0, 0]);
    const again = await Promise.all([web1, web.lb2].map((state) => provider.read(state)));
    expect(again.map((state) => state?.outputs["drift"])).toEqual([undefined, undefined]);
    expect((await lvs("status", "lb1")).stdout).toMatch(/10\.77\.1\.21:80 dr weight 0 .*, under maintenance \[/);
});

test("undrain gives back what is declared by now, and to those alone that were drained", async () => {
    const { status, stdout } = await lvs("undrain", `${RIP}:80`, "lb1");
    expect(stdout).toContain(`lb1 ${SERVER}: out of maintenance, weight 0 -> 5`);
    expect([status, await weights()]).toEqual([0, [5, 0]]);
    expect((await lvs("undrain", RIP)).stdout).toMatch(/lb1 .*was not under maintenance.*\n.*lb2 .*weight 0 -> 4/);
    expect(await weights()).toEqual([5, 4]);
    expect(await lab.run("lb1", "grep -c ^maintenance /var/lib/pulumi-lvs/*.claims")).toMatchObject({ status: 1 });
});

test("a real server that nobody declared is named, and nothing is touched", async () => {
    await lab.sh("lb1", `ipvsadm -a -t ${VIP}:80 -r 10.77.1.99:80 -g -w 1`);
    const { status, stdout, stderr } = await lvs("drain", "10.77.1.99");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/lb1: nobody declared real server \S+\/10\.77\.1\.99:80: it is not touched/);
    expect(stderr).toContain("no ledger file claims real server 10.77.1.99 on lb1, lb2, web1");
    expect(await lab.sh("lb1", "ipvsadm -Sn")).toContain("-r 10.77.1.99:80 -g -w 1");
    await lab.sh("lb1", `ipvsadm -d -t ${VIP}:80 -r 10.77.1.99:80`);
});

test("a file of a create that was killed and then reverted is told from the others, and undone", async () => {
    await stateIs(web.lb1, web.lb2, web1);
    const ghost = service("lb1", { port: 8080, ...owner("VirtualService", "ghost") });
    const foreign = service("lb1", { port: 8443, owner: "organization/blog/prod#VirtualService/blog" });
    const [, blog] = await Promise.all([
        provider.create("VirtualService", ghost),
        provider.create("VirtualService", foreign),
    ]);
    const listed = JSON.parse((await lvs("claims", "list", "lb1", "--json")).stdout) as {
        file: string;
        owner: string;
        stack?: string;
    }[];
    expect(Object.fromEntries(listed.map((each) => [each.owner.split("/").at(-1), each.stack]))).toEqual({
        ...{ "web-lb1": "known", site1: "known", ghost: "dead", blog: undefined },
    });
    const { file } = listed.find(({ stack }) => stack === "dead")!;
    const text = (await lvs("claims", "list", "lb1")).stdout;
    expect(text.match(/not in the stack's state/g)).toHaveLength(1);
    expect(text).toContain(`\`lvs claims release lb1 ${file}\``);
    expect((await lvs("claims", "release", "lb1", file, "--restore")).status).toBe(0);
    expect(await lab.sh("lb1", "ipvsadm -Sn")).not.toContain(":8080");
    await provider.delete(blog);
});

test("under maintenance destroy removes everything, and the hosts are as they were found", async () => {
    expect((await lvs("drain", RIP)).status).toBe(0);
    await Promise.all([provider.delete(web1), provider.delete(web.lb2)]);
    await provider.delete(web.lb1);
    await lab.sh("web1", "pkill socat");
    await lab.sh("client", "rm -f /tmp/talk /tmp/enough /tmp/heard; pkill socat || true");
    const [expected, found] = comparable(asFound, await snapshots(lab));
    expect(found).toEqual(expected);
});

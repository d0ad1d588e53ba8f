/**
 * The provider's process against hosts with a real IPVS kernel, by the calls that the engine makes, in its order. Every
 * story ends with the hosts as declared, or as they were found.
 */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { type Lab, startLab } from "../support/lab";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { type Properties, ProviderProcess, type State } from "./support/process";

let lab: Lab;
let provider: ProviderProcess;
let asFound: Record<string, Snapshot>;
let looks: string[];
/** What the current story has made: its own clearing up. */
let made: State[] = [];

const VIP = "10.77.1.100";
const RIP = "10.77.1.21";
const WEB1 = `-a -t ${VIP}:80 -r ${RIP}:80 -g`;

const owner = (type: ResourceType, name: string, stack = "organization/shop/prod") => ({
    owner: `${stack}#${type}/${name}`,
});
const director = { name: "dir", connection: "dir", interface: "eth0" };
const service = (more: Properties = {}, name = "web", stack?: string): Properties => ({
    ...{ director, protocol: "tcp", address: VIP, port: 80, ...owner("VirtualService", name, stack) },
    ...more,
});
const reference = { director: { name: "dir", connection: "dir" }, protocol: "tcp", address: VIP, port: 80 };
const realServer = (more: Properties = {}, name = "web1", stack?: string): Properties => ({
    ...{ service: reference, address: RIP, connection: "web1", ...owner("RealServer", name, stack) },
    ...more,
});

const start = (config: Record<string, string> = {}) =>
    ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir", "web1"), ...config });

async function create(type: ResourceType, inputs: Properties): Promise<State> {
    const state = await provider.create(type, inputs);
    made.push(state);
    return state;
}

async function update(state: State, inputs: Properties): Promise<State> {
    const after = await provider.update(state, inputs);
    made = made.map((each) => (each === state ? after : each));
    return after;
}

async function remove(state: State): Promise<void> {
    await provider.delete(state);
    made = made.filter((each) => each !== state);
}

async function failing(work: Promise<unknown>): Promise<Error & { left?: boolean }> {
    try {
        await work;
    } catch (error) {
        return error as Error;
    }
    throw new Error("it was to fail, and did not");
}

const rules = async (): Promise<string[]> =>
    (await lab.sh("dir", "ipvsadm -Sn")).split("\n").filter((line) => line !== "");

/** Refreshes, and says what differs; nothing of it may be gone. */
async function drift(state: State): Promise<unknown> {
    const found = await provider.read(state);
    if (found === undefined) throw new Error(`${state.id} is gone`);
    const { changes } = await provider.diff(found, state.inputs);
    expect(changes).toBe(found.outputs["drift"] !== undefined);
    return found.outputs["drift"] ?? {};
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
    asFound = await snapshots(lab);
    looks = await look();
});

afterAll(async () => {
    await lab?.down();
});

/** What a story touches, cheaply: the whole of it is compared at the end. */
const LOOK = [
    "ip -o addr show | tr -d '\\\\'",
    "[ ! -e /proc/net/ip_vs ] || ipvsadm -Sn",
    "ls -A /var/lib/pulumi-lvs /etc/systemd/system 2>/dev/null",
    "grep -H . /proc/sys/net/ipv4/conf/eth0/arp_*",
].join("; ");

const look = () => Promise.all(["dir", "web1"].map(async (host) => (await lab.run(host, LOOK)).stdout));

/** What a story leaves in the state is destroyed, rules before services; then the hosts are as they were found. */
async function clearUp(): Promise<void> {
    const isRule = ({ type }: State) => type === "RealServer";
    await Promise.all(made.filter(isRule).map(remove));
    await Promise.all(made.map(remove));
    expect(await look()).toEqual(looks);
}

/** Holds a host's lock, as another run would, until it is let go. */
async function holdLock(host: string): Promise<{ waitedFor(): Promise<void>; release(): Promise<void> }> {
    await lab.sh(
        host,
        `mkdir -p /run/pulumi-lvs; rm -f /tmp/release
        setsid sh -c 'flock 9; echo held; while [ ! -e /tmp/release ]; do sleep 0.1; done' \
            9> /run/pulumi-lvs/lock > /tmp/held 2>&1 < /dev/null &
        while [ ! -s /tmp/held ]; do sleep 0.1; done`,
    );
    return {
        waitedFor: async () =>
            void (await lab.sh(
                host,
                "for i in $(seq 300); do pgrep -f '[f]lock -w' > /dev/null && exit 0; sleep 0.1; done; exit 1",
            )),
        release: async () =>
            void (await lab.sh(host, "touch /tmp/release; while pgrep -f '[t]mp/release'; do sleep 0.1; done")),
    };
}

/** Waits until no script of the provider's runs on a host. */
const quiet = (host: string) => lab.sh(host, "while pgrep -f '[p]ulumi-lvs/run' > /dev/null; do sleep 0.1; done");

// A process knows one program: each story has its own.
beforeEach(async () => {
    provider = await start();
});

afterEach(async () => {
    // Only where a story failed is anything left: the next one is not to fail for it.
    const failed = made.length > 0;
    for (const state of [...made].reverse()) await provider.delete(state).catch(() => {});
    if (failed) await lab.sh("dir", "ipvsadm -C");
    made = [];
    await provider.stop();
});

test("create, unchanged refresh, edit in place, delete: all three resources", async () => {
    const dir = await create("Director", { ...director, ...owner("Director", "dir") });
    const web = await create("VirtualService", service({ scheduler: "wrr" }));
    const web1 = await create("RealServer", realServer({ weight: 2 }));
    expect([dir.id, web.id, web1.id]).toEqual(["dir", `dir/tcp/${VIP}:80`, `dir/tcp/${VIP}:80/${RIP}:80`]);
    expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wrr`, `${WEB1} -w 2`]);
    expect(await Promise.all(made.map(drift))).toEqual([{}, {}, {}]);

    const heavier = realServer({ weight: 5, upperThreshold: 100, lowerThreshold: 10 });
    const other = service({ scheduler: "sh", persistence: { timeout: 60 } });
    expect(await provider.diff(web1, heavier)).toEqual({ changes: true, replaces: [] });
    expect(await provider.diff(web, other)).toEqual({ changes: true, replaces: [] });
    await Promise.all([update(web1, heavier), update(web, other)]);
    expect(await rules()).toEqual([`-A -t ${VIP}:80 -s sh -p 60`, `${WEB1} -w 5`]);
    expect(await lab.sh("dir", "ipvsadm -Ln --thresholds")).toMatch(/-> 10\.77\.1\.21:80 +100 +10 /);
    await clearUp();
});

test("a director that is a real server by another connection is refused before anything is done", async () => {
    await provider.stop();
    const { dir } = JSON.parse(lab.lvsHosts("dir"));
    provider = await start({ "lvs:hosts": JSON.stringify({ dir, "dir-admin": { ...dir, perDialTimeout: 119 } }) });
    await create("VirtualService", service());
    const before = await look();
    const own = realServer({ address: "10.77.1.10", connection: "dir-admin" });
    expect((await failing(provider.create("RealServer", own))).message).toMatch(/connection.*LVS-HOST-TWICE/s);
    expect(await look()).toEqual(before);
    await create("RealServer", { ...own, connection: "dir" });
    expect((await rules()).join()).toContain(`-r 10.77.1.10:80`);
    await clearUp();
});

describe("whoever a resource is called, its objects stay:", () => {
    test("renamed, a rename that failed half-way and was reverted, --replace", async () => {
        const web = await create("VirtualService", service());
        const web1 = await create("RealServer", realServer());

        const site = await create("VirtualService", service({}, "site"));
        const site1 = await create("RealServer", realServer({}, "site1"));
        await remove(web1);
        await remove(web);
        const declared = [`-A -t ${VIP}:80 -s wlc`, `${WEB1} -w 1`];
        expect(await rules()).toEqual(declared);
        expect(await Promise.all([site, site1].map(drift))).toEqual([{}, {}]);

        const half = await create("VirtualService", service({}, "half"));
        await remove(half);
        expect(await rules()).toEqual(declared);

        provider.output();
        const again = await create("RealServer", realServer({}, "site1"));
        await remove(site1);
        expect(provider.output()).toMatch(/taken over by a newer incarnation: nothing is released/);
        expect(await rules()).toEqual(declared);
        expect(await Promise.all([site, again].map(drift))).toEqual([{}, {}]);
        await clearUp();
    });

    test("with another key the old ones go, and only they", async () => {
        const web = await create("VirtualService", service());
        const web1 = await create("RealServer", realServer());
        const moved = { service: { ...reference, port: 8080 } };
        expect(await provider.diff(web, service({ port: 8080 }))).toEqual({ changes: true, replaces: ["port"] });
        expect((await provider.diff(web1, realServer(moved))).replaces).toContain("service");
        await create("VirtualService", service({ port: 8080 }));
        await create("RealServer", realServer(moved));
        await remove(web1);
        await remove(web);
        expect(await rules()).toEqual([`-A -t ${VIP}:8080 -s wlc`, `-a -t ${VIP}:8080 -r ${RIP}:8080 -g -w 1`]);
        expect(await lab.sh("dir", "ip -o addr show eth0")).toContain(`${VIP}/32`);
        await clearUp();
    });

    test("a --replace whose answer was lost: a refresh tells it, and an update takes it back", async () => {
        const web = await create("VirtualService", service());
        await provider.create("VirtualService", service());
        await provider.stop();
        provider = await start();
        expect(await drift(web)).toEqual({
            [`ledger on dir (root@127.0.0.1:${lab.hosts["dir"]!.port})`]:
                "taken over by a create whose answer was lost",
        });
        expect(await drift(await update(web, service()))).toEqual({});
        await clearUp();
    });

    test("a create that was killed before its answer, and then comes again", async () => {
        const lock = await holdLock("dir");
        const killed = await start();
        const answer = failing(killed.create("VirtualService", service()));
        await lock.waitedFor();
        await killed.stop("SIGKILL");
        await answer;
        await lock.release();
        await quiet("dir");
        // What had arrived whole was done whole, ledger and all, although nobody listened.
        expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wlc`]);
        const web = await create("VirtualService", service());
        expect(await drift(web)).toEqual({});
        expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wlc`]);
        await clearUp();
    });
});

test("a VIP that another host has taken over is not taken back at boot, whatever its family; once it is free, it is", async () => {
    const VIP6 = "fd00:1::100";
    await create("VirtualService", service());
    await create("VirtualService", service({ address: VIP6 }, "six"));
    const boot = () => lab.run("dir", "sh /var/lib/pulumi-lvs/boot");
    await lab.sh("dir", `ip addr del ${VIP}/32 dev eth0; ip addr del ${VIP6}/128 dev eth0`);
    await lab.sh("web1", `ip addr add ${VIP}/32 dev eth0; ip addr add ${VIP6}/128 dev eth0 nodad`);
    const { status, stderr } = await boot();
    const meanwhile = await lab.sh("dir", "ip -o addr show dev eth0");
    await lab.sh("web1", `ip addr del ${VIP}/32 dev eth0; ip addr del ${VIP6}/128 dev eth0`);
    expect(status).toBe(1);
    expect(stderr).toMatch(/VirtualService\/web of .* 10\.77\.1\.100 is answered for on eth0 by another host/);
    expect(stderr).toMatch(/VirtualService\/six of .* fd00:1::100 is answered for on eth0 by another host/);
    expect(meanwhile).not.toMatch(/10\.77\.1\.100|fd00:1::100/);
    expect(await boot()).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(await Promise.all(made.map(drift))).toEqual([{}, {}]);
    await clearUp();
});

test("drift is shown object by object, and an update repairs it", async () => {
    const setting = "net.ipv4.vs.expire_nodest_conn";
    const dir = await create("Director", { ...director, sysctls: { [setting]: "1" }, ...owner("Director", "dir") });
    const web = await create("VirtualService", service({ scheduler: "wrr", persistence: { timeout: 60 } }));
    const web1 = await create("RealServer", realServer({ weight: 3, upperThreshold: 9 }));
    const trio = () => made.map((state) => ({ ...state }));
    await lab.sh(
        "dir",
        `ipvsadm -e -t ${VIP}:80 -r ${RIP}:80 -g -w 7 -x 5
        ipvsadm -E -t ${VIP}:80 -s rr -p 90
        ip addr del ${VIP}/32 dev eth0
        sysctl -qw ${setting}=0
        rm /etc/systemd/system/pulumi-lvs.service
        rm $(grep -l 'VirtualService/web$' /var/lib/pulumi-lvs/*.claims)`,
    );
    await lab.sh("web1", `ip addr del ${VIP}/32 dev lo; sysctl -qw net.ipv4.conf.eth0.arp_ignore=0`);
    // Reads that follow closely share what was seen: this is another run.
    await provider.stop();
    provider = await start();
    const [ofDirector, ofService, ofServer] = (await Promise.all(trio().map(drift))) as Properties[];
    expect(ofDirector).toMatchObject({
        [`sysctl ${setting}`]: "0",
        "boot pulumi-lvs.service": expect.stringContaining("absent"),
    });
    expect(ofService).toMatchObject({
        [`service tcp/${VIP}:80`]: expect.objectContaining({ scheduler: "rr" }),
        [`address eth0/${VIP}/32`]: "absent",
    });
    expect(Object.keys(ofService!).some((each) => each.startsWith("ledger on "))).toBe(true);
    expect(ofServer).toMatchObject({
        [`destination tcp/${VIP}:80/${RIP}:80`]: expect.objectContaining({ weight: 7, upperThreshold: 5 }),
        [`address lo/${VIP}/32`]: "absent",
        "sysctl net.ipv4.conf.eth0.arp_ignore": "0",
    });
    const shown = (await provider.read(web1))!;
    expect(shown.inputs).toMatchObject({ weight: 7, upperThreshold: 5 });

    for (const state of [dir, web, web1]) await update(state, state.inputs);
    expect(await Promise.all(made.map(drift))).toEqual([{}, {}, {}]);
    expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wrr -p 60`, `${WEB1} -w 3`]);
    await clearUp();
});

describe("what others have made", () => {
    test("is an error that shows both sides, unless it is adopted", async () => {
        await lab.sh("dir", `ipvsadm -A -t ${VIP}:80 -s rr`);
        const before = await look();
        const { message, left } = await failing(provider.create("VirtualService", service({ scheduler: "wrr" })));
        expect(message).toMatch(/the host has .*"rr".*, wanted is .*"wrr".*\[LVS-EXISTS\]/);
        expect(message).toContain("adopt: true");
        expect(left).toBe(false);
        expect(await look()).toEqual(before);

        await create("VirtualService", service({ scheduler: "wrr", adopt: true }));
        expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wrr`]);
        await clearUp();
    });

    test("between look and lock is found, and not taken back as if it were ours", async () => {
        const lock = await holdLock("dir");
        const refusal = failing(provider.create("VirtualService", service()));
        await lock.waitedFor();
        // The very rule that the script is about to make.
        await lab.sh("dir", `ipvsadm -A -t ${VIP}:80 -s wlc`);
        await lock.release();
        expect((await refusal).message).toContain("[LVS-EXISTS]");
        expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wlc`]);
        await lab.sh("dir", `ipvsadm -D -t ${VIP}:80`);
        await clearUp();
    });

    test("is not removed with a service, unless that is said", async () => {
        const web = await create("VirtualService", service());
        await lab.sh("dir", `ipvsadm -a -t ${VIP}:80 -r 10.77.1.99 -g`);
        const { message } = await failing(provider.delete(web));
        expect(message).toMatch(/10\.77\.1\.99:80 \(declared by nobody\).*\[LVS-FOREIGN-SERVERS\]/);
        expect(await rules()).toHaveLength(2);
        await update(web, service({ deleteForeign: true }));
        expect(await rules()).toHaveLength(2);
        await clearUp();
    });
});

test("two stacks share what they want alike; where they differ, the error names both", async () => {
    const other = "organization/blog/prod";
    const setting = "net.ipv4.vs.expire_nodest_conn";
    const settings = (value: string) => ({ ...director, sysctls: { [setting]: value } });
    await create("VirtualService", service());
    const https = await create("VirtualService", service({ port: 443 }, "blog", other));
    const mine = await create("Director", { ...settings("1"), ...owner("Director", "dir") });
    // The check of one process knows one program: the other stack has its own.
    const second = await start();
    const { message } = await failing(
        second.create("Director", { ...settings("0"), ...owner("Director", "dir", other) }),
    );
    expect(message).toMatch(
        /Director\/dir of organization\/shop\/prod wants 1.*Director\/dir of organization\/blog\/prod wants 0.*\[LVS-CLASH\]/,
    );
    const theirs = await second.create("Director", { ...settings("1"), ...owner("Director", "dir", other) });
    await second.stop();
    made.push(theirs);

    await remove(https);
    expect(await lab.sh("dir", "ip -o addr show eth0")).toContain(`${VIP}/32`);
    await remove(mine);
    expect(await lab.sh("dir", `sysctl -n ${setting}`)).toBe("1\n");
    await clearUp();
});

test("a rule that the kernel refuses is taken back on the real server too", async () => {
    await create("VirtualService", service());
    // The segment's broadcast address: only the director's kernel knows that it is no host's.
    const nobody = { address: "10.77.1.255", forwarding: "nat", sysctls: { "net.ipv4.conf.eth0.arp_filter": "1" } };
    const before = await look();
    const { message, left } = await failing(provider.create("RealServer", realServer(nobody)));
    expect(message).toMatch(/add .*10\.77\.1\.255.*\[LVS-STEP\]/);
    expect(message).toMatch(/taken back \(compensated\)/);
    expect(left).toBe(false);
    expect(await look()).toEqual(before);
    await clearUp();
});

describe("a real server with an open connection", () => {
    /** A connection through the VIP, open until it is ended. */
    async function talk(): Promise<{ end(): Promise<void> }> {
        await lab.sh("web1", "setsid socat TCP-LISTEN:80,fork,reuseaddr PIPE > /dev/null 2>&1 < /dev/null &");
        await lab.sh(
            "client",
            `rm -f /tmp/enough; mkfifo /tmp/talk
            setsid socat - TCP:${VIP}:80 < /tmp/talk > /tmp/heard 2>&1 &
            setsid sh -c 'echo hello; while [ ! -e /tmp/enough ]; do sleep 0.1; done' > /tmp/talk 2>/dev/null < /dev/null &
            for i in $(seq 100); do [ -s /tmp/heard ] && break; sleep 0.1; done; cat /tmp/heard`,
        );
        return {
            end: async () => {
                await lab.sh("client", "touch /tmp/enough; sleep 0.5; rm -f /tmp/talk /tmp/heard; pkill socat || true");
                await lab.sh("web1", "pkill socat");
            },
        };
    }
    const atRest = () =>
        lab.sh("dir", "for i in $(seq 300); do ipvsadm -Sn | grep -q -- '-w 0' && exit 0; sleep 0.1; done; exit 1");
    const deadline = () => lab.sh("dir", "grep -h ^draining /var/lib/pulumi-lvs/*.claims");
    const ownVip = () => lab.sh("web1", "ip -o addr show dev lo");

    test("is drained: it goes when the connection has ended, and its own side after it", async () => {
        await create("VirtualService", service());
        const web1 = await create("RealServer", realServer());
        const { end } = await talk();
        let ended = false;
        const removal = remove(web1).then(() => {
            ended = true;
        });
        await atRest();
        expect(await rules()).toContain(`${WEB1} -w 0`);
        expect(await ownVip()).toContain(VIP);
        expect(ended).toBe(false);
        await end();
        await removal;
        expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wlc`]);
        expect(await ownVip()).not.toContain(VIP);
        await clearUp();
    });

    test("is waited for until one deadline, though the process was killed, and how it goes is said", async () => {
        await create("VirtualService", service());
        const web1 = await create("RealServer", realServer({ drain: { timeout: 600 } }));
        const { end } = await talk();
        const cut = failing(provider.delete(web1));
        await atRest();
        const first = await deadline();
        await provider.stop("SIGKILL");
        await cut;
        provider = await start();
        const removal = remove(web1);
        let said = "";
        for (let round = 0; round < 600 && !said.includes("draining"); round++) {
            await new Promise((resolve) => setTimeout(resolve, 250));
            said += provider.output();
        }
        expect(said).toMatch(/draining .*10\.77\.1\.21:80: 1 active connections, at most \d+ s more/);
        expect(await deadline()).toBe(first);
        await end();
        await removal;
        await clearUp();
    });

    test("gets its weight back when its drain fails on the way", async () => {
        await create("VirtualService", service());
        const web1 = await create("RealServer", realServer({ weight: 3 }));
        const { end } = await talk();
        const removal = failing(provider.delete(web1));
        await atRest();
        await lab.sh("dir", "echo broken >/var/lib/pulumi-lvs/broken.claims");
        const { message } = await removal;
        expect(message).toMatch(/LVS-LEDGER-DAMAGED.*taken back \(compensated\)/s);
        expect(await rules()).toContain(`${WEB1} -w 3`);
        expect(await ownVip()).toContain(VIP);
        await lab.sh("dir", "rm /var/lib/pulumi-lvs/broken.claims");
        await end();
        await clearUp();
    });
});

describe("trouble on the way", () => {
    test("a connection that is lost while a script runs: the work is found done, once", async () => {
        const lock = await holdLock("dir");
        const creation = create("VirtualService", service({ realServers: { [RIP]: { weight: 4 } } }));
        await lock.waitedFor();
        await lab.sh("dir", 'for p in $(pgrep -f "sshd: root@notty"); do [ $p = $PPID ] || kill -9 $p; done');
        await lock.release();
        const web = await creation;
        expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wlc`, `${WEB1} -w 4`]);
        expect(await drift(web)).toEqual({});
        await clearUp();
    });

    test("a host that hangs: the error says where and which limit, and nothing is touched", async () => {
        await lab.sh("dir", "mkdir -p /var/lib/pulumi-lvs && mkfifo /var/lib/pulumi-lvs/hangs.claims");
        const impatient = await start({ "lvs:commandTimeout": "1" });
        const { message, left } = await failing(impatient.create("VirtualService", service()));
        expect(message).toMatch(/look at the host: it took more than 1 s and was ended \[LVS-TIMEOUT\]/);
        expect(message).toContain("lvs:commandTimeout");
        expect(left).toBe(false);
        await impatient.stop();
        await lab.sh("dir", "rm -r /var/lib/pulumi-lvs");
        await clearUp();
    });
});

test("after all that the hosts are as they were found", async () => {
    const [expected, found] = comparable(asFound, await snapshots(lab));
    expect(found).toEqual(expected);
});

/**
 * Hosts in trouble, and hosts that are busy: full and read-only disks, an sshd that is restarted, a table that changes
 * all the time, a wrong clock, two stacks at once, hundreds of claims. An error says what to do, and nothing is left
 * half-done.
 */
import { join } from "node:path";
import type { ResourceType } from "../../provider/dynamic/shim";
import { connectionSchema } from "../../provider/ssh/connection";
import { closeAll, runScript } from "../../provider/ssh/session";
import { Door } from "../support/door";
import { type Lab, startLab } from "../support/lab";
import { type Properties, ProviderProcess, type State } from "./support/process";

const ROUNDS = 50;
const CLAIMS = 200;
/** Operations at once, as the engine runs them on two cores. */
const PARALLEL = 8;

const VIP = "10.77.1.100";
const at = { name: "dir", connection: "dir", interface: "eth0" };
const owner = (type: ResourceType, name: string, stack = "shop") => ({
    owner: `organization/${stack}/prod#${type}/${name}`,
});
const service = (more: Properties = {}): Properties => ({
    ...{ director: at, protocol: "tcp", address: VIP, port: 80, realServers: { "10.77.1.21": { weight: 1 } } },
    ...owner("VirtualService", "web"),
    ...more,
});

let lab: Lab;
let provider: ProviderProcess;

const on = async (host: string, script: string): Promise<string> =>
    (await runScript(connectionSchema.parse(lab.hosts[host]), script, { timeout: 120 })).stdout;
const LOOK = `ip -o addr show; [ ! -e /proc/net/ip_vs ] || ipvsadm -Sn; ls -A /var/lib/pulumi-lvs /etc/systemd/system 2>/dev/null
    cat /proc/sys/net/ipv4/conf/*/arp_ignore /proc/sys/net/ipv4/vs/expire_nodest_conn`;
const look = (host = "dir"): Promise<string> => on(host, LOOK);
const rules = async (): Promise<string[]> => (await on("dir", "ipvsadm -Sn")).split("\n").filter((line) => line !== "");

async function refusal(work: Promise<unknown>): Promise<string> {
    try {
        await work;
    } catch (error) {
        return (error as Error).message;
    }
    throw new Error("it was to fail, and did not");
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "hosts.json"));
    await lab.sh("dir", "modprobe ip_vs");
});
afterAll(async () => {
    await closeAll();
    await lab?.down();
});
beforeEach(async () => {
    provider = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir", "web1") });
});
afterEach(() => provider.stop());

describe("a host without room or without leave to write: the error says what to do, and nothing is changed", () => {
    test.each([
        [
            "its ledger's file system is full",
            "mkdir /var/lib/pulumi-lvs; mount -t tmpfs -o size=4k tmpfs /var/lib/pulumi-lvs; head -c 4096 /dev/zero > /var/lib/pulumi-lvs/full",
            "umount /var/lib/pulumi-lvs; rmdir /var/lib/pulumi-lvs",
            /(No space left|I\/O error).*Make room on the host/s,
        ],
        [
            "its ledger's file system is read-only",
            "mkdir /var/lib/pulumi-lvs; mount -t tmpfs -o ro tmpfs /var/lib/pulumi-lvs",
            "umount /var/lib/pulumi-lvs; rmdir /var/lib/pulumi-lvs",
            /Read-only file system.*mount it writable/s,
        ],
        [
            "/etc is read-only",
            "mount --bind /etc /etc; mount -o remount,ro,bind /etc",
            "umount /etc",
            /Read-only file system.*mount it writable/s,
        ],
        [
            "/run is full",
            "mkdir -p /run/pulumi-lvs; mount -t tmpfs -o size=4k tmpfs /run/pulumi-lvs; head -c 4096 /dev/zero > /run/pulumi-lvs/full",
            "umount /run/pulumi-lvs",
            /Is \/run full or read-only\?/,
        ],
    ])("%s", async (_, spoil, mend, message) => {
        const before = await look();
        await on("dir", spoil);
        let said: string;
        try {
            said = await refusal(provider.create("VirtualService", service()));
        } finally {
            await on("dir", mend);
        }
        expect(said).toMatch(message);
        expect(said).toMatch(/^dir \(root@127\.0\.0\.1:\d+\): /);
        expect(await look()).toBe(before);
        const web = await provider.create("VirtualService", service());
        await provider.delete(web);
        expect(await look()).toBe(before);
    });
});

test("sshd is killed with all its sessions in the middle and comes back: the work is done, once", async () => {
    const before = await look();
    await on(
        "dir",
        `mkdir -p /run/pulumi-lvs
        cat > /root/restart <<'END'
exec 9> /run/pulumi-lvs/lock; flock 9
for i in $(seq 300); do pgrep -f '[f]lock -w' > /dev/null && break; sleep 0.1; done
pkill -9 sshd; sleep 1; /usr/sbin/sshd 9>&-
END
        setsid sh /root/restart > /dev/null 2>&1 < /dev/null &`,
    );
    const web = await provider.create("VirtualService", service());
    expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wlc`, `-a -t ${VIP}:80 -r 10.77.1.21:80 -g -w 1`]);
    await provider.delete(web);
    await on("dir", "rm /root/restart");
    expect(await look()).toBe(before);
});

test("a table that somebody else changes all the time: done, or refused with what to do; theirs is untouched", async () => {
    const before = await look();
    await on(
        "dir",
        `cat > /root/restless <<'END'
while [ -e /root/restless ]; do
    ipvsadm -A -t 10.77.1.200:99 -s rr; sleep 0.1; ipvsadm -D -t 10.77.1.200:99; sleep 0.1
done
END
        setsid sh /root/restless > /root/told 2>&1 < /dev/null &`,
    );
    let web: State | undefined;
    let said = "";
    try {
        web = await provider.create("VirtualService", service());
    } catch (error) {
        said = (error as Error).message;
    }
    await on("dir", "rm /root/restless; while pgrep -f '[r]oot/restless' > /dev/null; do sleep 0.1; done");
    if (web === undefined) expect(said).toMatch(/\[LVS-RESTLESS\].*Find out what keeps changing it/s);
    expect((await rules()).filter((rule) => rule.includes(VIP))).toHaveLength(web === undefined ? 0 : 2);
    // Each of its commands found its service as it had left it.
    expect(await on("dir", "cat /root/told; rm /root/told")).toBe("");
    if (web !== undefined) await provider.delete(web);
    expect(await look()).toBe(before);
});

test("a clock that is set back a day: nothing waits for the day", async () => {
    const before = await look();
    const web = await provider.create("VirtualService", service());
    await on("dir", "date -s '1 day ago' > /dev/null");
    const started = Date.now();
    await provider.update(web, service({ realServers: { "10.77.1.22": {} } }));
    await provider.delete(web);
    await on("dir", "date -s '1 day' > /dev/null");
    expect(Date.now() - started).toBeLessThan(90_000);
    expect(await look()).toBe(before);
});

test(`two stacks at once on one director, ${ROUNDS} rounds: nothing is lost`, async () => {
    const before = await look();
    const stacks = await Promise.all(
        [
            { name: "shop", port: 80 },
            { name: "blog", port: 443 },
        ].map(async (each) => ({
            ...each,
            process: await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts("dir") }),
            states: {} as { web?: State; director?: State },
            weight: 0,
        })),
    );
    const turn = async (stack: (typeof stacks)[number], phase: number): Promise<void> => {
        const { name, port, process: own, states } = stack;
        const inputs = service({
            ...{ port, ...owner("VirtualService", "web", name) },
            realServers: { "10.77.1.21": { weight: phase }, "10.77.1.22": { weight: 1 } },
        });
        const settings = {
            ...at,
            sysctls: { "net.ipv4.vs.expire_nodest_conn": "1" },
            ...owner("Director", "dir", name),
        };
        if (phase === 0) {
            await Promise.all(
                [states.web, states.director].map((state) => (state === undefined ? undefined : own.delete(state))),
            );
            stack.states = {};
            return;
        }
        const [web, director] = await Promise.all([
            states.web === undefined ? own.create("VirtualService", inputs) : own.update(states.web, inputs),
            states.director ?? own.create("Director", settings),
        ]);
        stack.states = { web, director };
    };
    try {
        for (let round = 1; round <= ROUNDS; round++) {
            const phases = stacks.map((_, index) => (round + index * 2) % 4);
            await Promise.all(stacks.map((stack, index) => turn(stack, phases[index]!)));
            const wanted = stacks.flatMap(({ port }, index) =>
                phases[index] === 0
                    ? []
                    : [
                          `-A -t ${VIP}:${port} -s wlc`,
                          `-a -t ${VIP}:${port} -r 10.77.1.21:${port} -g -w ${phases[index]}`,
                          `-a -t ${VIP}:${port} -r 10.77.1.22:${port} -g -w 1`,
                      ],
            );
            const [have, setting, address] = [
                await rules(),
                await on("dir", "sysctl -n net.ipv4.vs.expire_nodest_conn"),
                await on("dir", `ip -o addr show dev eth0 | grep -o '${VIP}/32'`),
            ];
            expect([round, have.sort(), setting, address]).toEqual([round, wanted.sort(), "1\n", `${VIP}/32\n`]);
        }
        await Promise.all(stacks.map((stack) => turn(stack, 0)));
    } finally {
        await Promise.all(stacks.map((stack) => stack.process.stop()));
    }
    expect(await look()).toBe(before);
});

test(`${CLAIMS} real servers' claims on one host: made, refreshed without a change, and gone without a trace`, async () => {
    const before = [await look(), await look("web1")];
    const doors = [await Door.open(lab.hosts["dir"]!.port), await Door.open(lab.hosts["web1"]!.port)];
    const hosts = {
        dir: { ...lab.hosts["dir"], port: doors[0]!.port },
        web1: { ...lab.hosts["web1"], port: doors[1]!.port },
    };
    const processes = async () => Number((await lab.sh("client", "sed -n 's/^processes //p' /proc/stat")).trim());
    const own = await ProviderProcess.start({ "lvs:hosts": JSON.stringify(hosts) });
    const marked = {
        ...{ director: { name: "dir", connection: "dir" }, fwmark: 9, family: "ipv4" },
        marks: [{ protocol: "tcp", address: VIP, port: 80 }],
    };
    const figures: Record<string, unknown> = { claims: CLAIMS };
    const measured = async (name: string, work: () => Promise<void>) => {
        for (const door of doors) door.arm();
        const [count, started] = [await processes(), Date.now()];
        await work();
        figures[name] = {
            processes: (await processes()) - count,
            bytes: doors.reduce((sum, door) => sum + door.bytes, 0),
            seconds: Math.round((Date.now() - started) / 1000),
        };
    };
    const all = async <T>(list: T[], work: (each: T) => Promise<unknown>): Promise<void> => {
        const waiting = [...list];
        const worker = async () => {
            for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next);
        };
        await Promise.all(Array.from({ length: PARALLEL }, worker));
    };
    const web = await own.create("VirtualService", {
        ...marked,
        director: at,
        ...owner("VirtualService", "marked"),
    });
    const states: State[] = [];
    await measured("create", () =>
        all([...Array(CLAIMS).keys()], async (index) => {
            const inputs = { service: marked, address: "10.77.1.21", port: 10_000 + index, connection: "web1" };
            states.push(await own.create("RealServer", { ...inputs, ...owner("RealServer", `web${index}`) }));
        }),
    );
    expect(await on("dir", "ipvsadm -Sn | grep -c -- ' -r '")).toBe(`${CLAIMS}\n`);
    expect(await on("web1", "ls /var/lib/pulumi-lvs | grep -c claims")).toBe(`${CLAIMS}\n`);
    await measured("refresh", () =>
        all(states, async (state) => expect((await own.read(state))?.outputs).toEqual(state.outputs)),
    );
    await measured("delete", () => all(states, (state) => own.delete(state)));
    await own.delete(web);
    await own.stop();
    await Promise.all(doors.map((door) => door.close()));
    console.log(JSON.stringify(figures));
    expect([await look(), await look("web1")]).toEqual(before);
});

/**
 * Hosts that move, lose their ledger, are built anew, and die: one farm on the real engine from its making to its end.
 * Everything is done as a user who is not root, with sudo, a password or a key, and a profile that talks.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as lvs from "pulumi-lvs";
import { type Lab, startLab } from "../support/lab";
import { type Relay, relayTo } from "../support/relay";
import { secretsShown, watchProcesses } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type Summary, type TestStack } from "../support/stack";

/** Machines that move, are built anew and die: half of the file's time. */

const VIP = "10.77.1.100";
const SERVICE = `-A -t ${VIP}:80 -s wrr\n`;
const rule = (host: number, weight: number) => `-a -t ${VIP}:80 -r 10.77.1.${host}:80 -g -w ${weight}\n`;
/** What a colleague has on the same director. */
const FOREIGN = "-A -u 10.77.1.99:53 -s rr\n";

const hosts = ["lb1", "lb2", "web1", "web2"] as const;
type Name = (typeof hosts)[number];

const PROFILE = `echo "Welcome to $(hostname), last login: never"
echo "quota exceeded" >&2
printf '\\033[31mdo not touch\\033[0m\n'
set -o noclobber; alias rm='rm -i'; umask 077; cd /nowhere`;

let lab: Lab;
let stack: TestStack;
let before: Record<string, Snapshot>;
let relays: Record<Name, Relay>;
const declared = { director: "lb1" as Name, weight: 2, web2: true };

/** A connection as `ops`: by password, or by key. */
const connection = (name: Name, by: "password" | "key") => {
    const { privateKeyPath, hostKey } = lab.hosts[name]!;
    const credential =
        by === "key" ? { privateKey: readFileSync(privateKeyPath, "utf8") } : { password: lab.secrets[0]! };
    return {
        host: "127.0.0.1",
        port: relays[name].port,
        user: "ops",
        sudo: true,
        hostKey,
        perDialTimeout: 120,
        dialErrorLimit: 1,
        ...credential,
    };
};

async function program(): Promise<void> {
    const director = new lvs.Director("lb", {
        name: "lb",
        connection: declared.director,
        interface: "eth0",
        sysctls: { "net.ipv4.vs.expire_nodest_conn": 1 },
    });
    const service = new lvs.VirtualService("web", {
        director,
        protocol: "tcp",
        address: VIP,
        port: 80,
        scheduler: "wrr",
    });
    const { weight } = declared;
    new lvs.RealServer("web1", { service, address: "10.77.1.21", weight, connection: "web1" });
    // Credentials of its own, in the program: they come to be in the state.
    if (declared.web2) {
        new lvs.RealServer("web2", { service, address: "10.77.1.22", connection: connection("web2", "password") });
    }
}

/** Writes `lvs:hosts`; `over`: other fields of some. */
async function writeHosts(over: Partial<Record<Name, object>> = {}): Promise<void> {
    const named = {
        lb1: connection("lb1", "password"),
        lb2: connection("lb2", "key"),
        web1: connection("web1", "key"),
    };
    const value = JSON.stringify(
        Object.fromEntries(Object.entries(named).map(([name, each]) => [name, { ...each, ...over[name as Name] }])),
    );
    await stack.stack.setConfig("lvs:hosts", { value, secret: true });
}

const rules = (host: Name) => lab.sh(host, "[ ! -e /proc/net/ip_vs ] || ipvsadm -Sn | sort");
const sorted = (...lines: string[]) => lines.sort().join("");
const fileOf = (host: Name, resource: string) =>
    lab.sh(host, `grep -l '#${resource}$' /var/lib/pulumi-lvs/*.claims`).then((name) => name.trim());

/** What the engine said of an operation that must fail. */
async function failing(work: Promise<Summary>): Promise<string> {
    const error = await work.then(
        () => undefined,
        (each: Error & { output: string }) => each,
    );
    if (error === undefined) throw new Error("it was to fail, and did not");
    return `${error.output}${error.message}`;
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "dead-hosts.json"));
    const account = [
        "useradd -m -s /bin/bash ops",
        `echo 'ops:${lab.secrets[0]}' | chpasswd`,
        "echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops",
        "chmod 440 /etc/sudoers.d/ops",
        "cp -r /root/.ssh /home/ops/.ssh",
        `cat >/home/ops/.bashrc <<'PROFILE'\n${PROFILE}\nPROFILE`,
        "chown -R ops: /home/ops",
    ];
    await Promise.all(hosts.map((host) => lab.sh(host, account.join("\n"))));
    relays = Object.fromEntries(
        await Promise.all(hosts.map(async (host) => [host, await relayTo(lab.hosts[host]!.port)])),
    );
    stack = await makeStack({ program });
    await writeHosts();
    before = await snapshots(lab);
});
afterAll(async () => {
    await Promise.all(Object.values(relays ?? {}).map((relay) => relay.close()));
    await stack?.remove();
    await lab?.down();
});

test("a user with sudo and a profile that talks makes everything, and no process or file shows a secret", async () => {
    const watches = await Promise.all((["lb1", "web2"] as const).map((host) => watchProcesses(lab, host)));
    expect((await stack.up()).changes).toEqual({ create: 5 });
    const [lb1, web2] = await Promise.all(watches.map((watch) => watch.stop()));
    expect(await rules("lb1")).toBe(sorted(SERVICE, rule(21, 2), rule(22, 1)));
    for (const seen of [lb1, web2]) expect(seen).toContain("sudo -n sh");
    expect(await secretsShown(lab, stack, { "processes on lb1": lb1!, "processes on web2": web2! })).toEqual([]);

    const modes = (await lab.sh("lb1", "find /var/lib/pulumi-lvs /run/pulumi-lvs -printf '%y %m %U:%G %f\\n'"))
        .trim()
        .split("\n");
    expect(modes.length).toBeGreaterThan(6);
    for (const each of modes) expect(each).toMatch(/^(d 700|f 600|f 700) 0:0 /);
    await lab.sh("lb1", "ipvsadm -A -u 10.77.1.99:53 -s rr");
});

test("a host that shows another key is refused, with both fingerprints and what to do, and nothing is touched", async () => {
    await writeHosts({ lb1: { hostKey: lab.hosts["web1"]!.hostKey } });
    declared.weight = 3;
    const said = await failing(stack.up());
    expect(said).toMatch(/Expected ssh-ed25519 SHA256:\S+ \(hostKey\); the host shows ssh-ed25519 SHA256:/);
    expect(new Set(said.match(/SHA256:[\w+/]{43}/g)).size).toBe(2);
    expect(said).toMatch(/Compare the fingerprint.*If they agree, set `hostKey` to "ssh-ed25519 AAAA/s);
    expect(await rules("lb1")).toContain(rule(21, 2));
    declared.weight = 2;
});

test("a host whose address changed keeps its resources", async () => {
    const former = relays.lb1;
    relays.lb1 = await relayTo(lab.hosts["lb1"]!.port);
    await former.close();
    await writeHosts();
    expect((await stack.up()).changes).toEqual({});
    expect((await stack.refresh()).changes).toEqual({});
});

test("a ledger that was lost and one that was damaged are shown and rebuilt, and nothing foreign goes", async () => {
    const [lost, damaged] = await Promise.all([fileOf("lb1", "VirtualService/web"), fileOf("web1", "RealServer/web1")]);
    await Promise.all([lab.sh("lb1", `rm ${lost}`), lab.sh("web1", `sed -i '$d' ${damaged}`)]);
    const { changes, output } = await stack.up({ refresh: true, diff: true });
    expect(changes).toEqual({ update: 2 });
    expect(output).toMatch(/ledger on lb1 \(ops@127\.0\.0\.1:\d+\)"? *: "absent"/);
    expect(output).toMatch(/ledger on web1 \(ops@127\.0\.0\.1:\d+\)"? *: "damaged"/);
    expect(await rules("lb1")).toBe(sorted(SERVICE, FOREIGN, rule(21, 2), rule(22, 1)));
    expect((await stack.refresh()).changes).toEqual({});
});

test("a director that moves to another machine is claimed there and released on the old one", async () => {
    declared.director = "lb2";
    expect((await stack.up()).changes).toEqual({ update: 4 });
    expect(await rules("lb2")).toBe(sorted(SERVICE, rule(21, 2), rule(22, 1)));
    expect(await rules("lb1")).toBe(FOREIGN);
    await lab.sh("lb1", "ipvsadm -D -u 10.77.1.99:53");
    const [expected, found] = comparable(before, await snapshots(lab));
    expect(found["lb1"]).toEqual(expected["lb1"]);
});

test("a director that was built from nothing is made anew", async () => {
    await lab.sh(
        "lb2",
        `ipvsadm -C; ip addr del ${VIP}/32 dev eth0; sysctl -qw net.ipv4.vs.expire_nodest_conn=0
    rm -r /var/lib/pulumi-lvs /etc/systemd/system/pulumi-lvs.service /etc/systemd/system/*.wants/pulumi-lvs.service
    tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id`,
    );
    const { changes } = await stack.up({ refresh: true });
    expect(changes).toEqual({ create: 2, update: 2 });
    expect(await rules("lb2")).toBe(sorted(SERVICE, rule(21, 2), rule(22, 1)));
    expect(await lab.sh("lb2", "ip -o addr show eth0")).toContain(`${VIP}/32`);
});

describe("a real server that was powered off for ever", () => {
    beforeAll(async () => {
        await relays.web2.close();
        declared.web2 = false;
    });

    test("is an error that says what to do, once the director no longer sends to it", async () => {
        expect(await failing(stack.up())).toMatch(/127\.0\.0\.1:\d+: .*refused.*lvs:onUnreachable set to forget/is);
        expect(await rules("lb2")).toBe(sorted(SERVICE, rule(21, 2)));
    });

    test("is gone after up --refresh, once that is said", async () => {
        await stack.stack.setConfig("lvs:onUnreachable", { value: "forget" });
        const { changes, output } = await stack.up({ refresh: true });
        expect(changes).toEqual({ delete: 1 });
        expect(output).toMatch(/is not reachable and is passed over/);
        await stack.stack.removeConfig("lvs:onUnreachable");
        expect(await lab.sh("lb2", "grep -l RealServer/web2 /var/lib/pulumi-lvs/*.claims || true")).toBe("");
    });
});

describe("a director that was powered off for ever", () => {
    beforeAll(async () => {
        await relays.lb2.close();
    });

    test("is an error that says what to do, and nothing is forgotten", async () => {
        expect(await failing(stack.destroy())).toMatch(
            /lb2 \(ops@127\.0\.0\.1:\d+\): .*lvs:onUnreachable set to forget/is,
        );
        const { resources } = (await stack.stack.exportStack()).deployment as { resources: { type: string }[] };
        const ours = resources.map(({ type }) => type.split("/lvs:")[1]).filter((type) => type !== undefined);
        expect(ours.sort()).toEqual(["Director", "RealServer", "VirtualService"]);
    });

    test("is let go by destroy, once that is said, and the living real server is given back", async () => {
        await stack.stack.setConfig("lvs:onUnreachable", { value: "forget" });
        const { output } = await stack.destroy();
        // Its ledger was damaged once, and made anew: what the settings were before is not known any more.
        expect(output).toMatch(/arp_ignore is left as it is, .*what it was before is not known/);
        await lab.sh("web1", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0 net.ipv4.conf.eth0.arp_announce=0");
        const [expected, found] = comparable(before, await snapshots(lab));
        for (const host of ["lb1", "web1"]) expect(found[host]).toEqual(expected[host]);
    });
});

test("after all that no output, state or file shows a secret", async () => {
    expect(await secretsShown(lab, stack)).toEqual([]);
});

/**
 * Faults through the real engine: ten boundaries at which `pulumi up` or `destroy` of a small stack is cut, fails, hangs
 * or is killed, as a user meets them. (All boundaries of the provider alone: `test/protocol/faults.test.ts`.)
 * After each, what others have on the hosts is untouched, what is ours is as before or as declared, or the error says
 * what is left; and a plain `up`, or `destroy`, comes to its end. LVS_FAULT_SAY=1 tells each.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import * as lvs from "pulumi-lvs";
import { type Cut, Door } from "../support/door";
import { type Lab, startLab } from "../support/lab";
import {
    differences,
    everywhere,
    FOREIGN,
    HOSTS,
    type HostName,
    isForeign,
    type Look,
    lookAt,
    lookWithTraps,
    MODULES,
    tellsWhatIsLeft,
} from "../support/look";
import { processesOf } from "../support/processes";
import { makeStack, type Summary, type TestStack } from "../support/stack";
import { arm, type Fault, release, setTraps, tell } from "../support/traps";

/** What the stack is to come to: nothing, the program, or the program after an edit. */
type Goal = "nothing" | "declared" | "edited";

interface Row {
    what: string;
    host: HostName;
    from: Goal;
    to: Goal;
    fault:
        | { cut: Cut }
        /** A command that the pattern matches, the first one or every one, goes wrong. */
        | { command: string; goes: Fault; always?: boolean }
        /** While such a command is at work, the connection is cut, for good. */
        | { command: string; shut: true }
        /** While such a command is at work, a process on this side is sent signals, a second apart. */
        | { command: string; sent: NodeJS.Signals[]; who: "pulumi" | "provider" };
    config?: Record<string, string>;
    /** How the operation ends: it is done all the same, or what its error says; default: the host's name. */
    ends?: "done" | RegExp;
    /** Pulumi's own process is killed, and keeps the lock of the state. */
    locked?: true;
    /** Pulumi does not know how an operation ended that was under way, and says so the next time. */
    pending?: true;
}

/** Three lives of the stack and the beginning of a fourth: each row begins where the one before has come to. */
const rows: Row[] = [
    {
        what: "the engine is killed",
        ...{ from: "nothing", to: "declared", host: "web1", ends: /SIGKILL|killed/ },
        fault: { command: "ip link add*", sent: ["SIGKILL"], who: "pulumi" },
        ...{ locked: true, pending: true },
    },
    {
        what: "the provider's process is killed before its answer",
        ...{ from: "declared", to: "edited", host: "dir", ends: /update failed|transport|EOF/ },
        fault: { command: "ipvsadm -R*", sent: ["SIGKILL"], who: "provider" },
    },
    {
        what: "every session is killed that removes a rule",
        ...{ from: "edited", to: "nothing", host: "dir" },
        fault: { command: "ipvsadm -R*", goes: "kills its session", always: true },
    },
    {
        what: "the kernel takes no service",
        ...{ from: "nothing", to: "declared", host: "dir" },
        fault: { command: "ipvsadm -[AR]*", goes: "fails", always: true },
    },
    {
        what: "the connection is cut for good in the middle of the work",
        ...{ from: "declared", to: "edited", host: "web1" },
        fault: { command: "ip fou add*", shut: true },
    },
    {
        what: "Ctrl-C twice",
        ...{ from: "edited", to: "nothing", host: "web1", ends: /destroy cancell?ed/ },
        fault: { command: "ip link del*", sent: ["SIGINT", "SIGINT"], who: "pulumi" },
        pending: true,
    },
    {
        what: "Ctrl-C",
        ...{ from: "nothing", to: "declared", host: "dir", ends: /update cancell?ed/ },
        fault: { command: "ipvsadm -R*", sent: ["SIGINT"], who: "pulumi" },
    },
    {
        what: "the disk hangs under the ledger",
        ...{ from: "declared", to: "edited", host: "web2" },
        fault: { command: "sync*", goes: "hangs" },
        config: { "lvs:commandTimeout": "8" },
    },
    {
        what: "a tunnel is removed, and ip ends with status 1 all the same",
        ...{ from: "edited", to: "nothing", host: "web1", ends: "done" },
        fault: { command: "ip link del*", goes: "fails after its work" },
    },
    {
        what: "the connection is cut before what the provider writes has arrived",
        ...{ from: "nothing", to: "declared", host: "dir", ends: "done" },
        fault: { cut: { direction: "up", at: 14, passes: false, forGood: false } },
    },
];

const program =
    (edited: boolean): PulumiFn =>
    async () => {
        const director = new lvs.Director("dir", {
            connection: "dir",
            interface: "eth0",
            sysctls: { "net.ipv4.vs.expire_nodest_conn": 1 },
            masquerade: [{ source: "10.77.2.0/24" }],
        });
        const service = new lvs.VirtualService("web", {
            director,
            protocol: "tcp",
            address: "10.77.1.100",
            port: 80,
            scheduler: edited ? "rr" : "wlc",
        });
        new lvs.RealServer("web1", {
            service,
            address: "10.77.1.21",
            forwarding: "tun",
            connection: "web1",
            ...(edited ? { weight: 3, tunnel: { type: "gue", port: 6080 } } : {}),
        });
        new lvs.RealServer("web2", {
            service,
            address: "10.77.1.22",
            connection: "web2",
            ...(edited ? { sysctls: { "net.ipv4.conf.eth0.arp_filter": 1 } } : {}),
        });
    };

let lab: Lab;
let stack: TestStack;
let doors: Record<HostName, Door>;
/** The hosts as they are to be. */
const looks = {} as Record<Goal, Look>;

const on = (host: HostName, script: string): Promise<string> => lab.sh(host, script);

/** Where the stack has come to. */
let at: Goal = "nothing";

/** A plain run that comes to the goal. */
async function reach(goal: Goal): Promise<Summary> {
    if (goal !== "nothing") await stack.use(program(goal === "edited"));
    const summary = await (goal === "nothing" ? stack.destroy() : stack.up());
    at = goal;
    return summary;
}

const PATIENT = { "lvs:commandTimeout": "300" };

/** The config that a stack has, or has for the fault of a row. */
async function configure(more: Record<string, string> = PATIENT, connection: object = {}): Promise<void> {
    const hosts = Object.entries(JSON.parse(lab.lvsHosts()) as Record<HostName, object>).map(([name, each]) => [
        name,
        { ...each, port: doors[name as HostName].port, ...connection },
    ]);
    const config = { "lvs:hosts": JSON.stringify(Object.fromEntries(hosts)), ...more };
    await stack.stack.setAllConfig(
        Object.fromEntries(Object.entries(config).map(([key, value]) => [key, { value, secret: key === "lvs:hosts" }])),
    );
}

const isAlive = (pid: number): boolean => {
    try {
        process.kill(pid, 0);
        return true;
    } catch {
        return false;
    }
};

/** What an operation said if it failed; undefined: it was done. */
const sayingOf = (work: Promise<Summary>): Promise<string | undefined> =>
    work.then(
        () => undefined,
        (error: Error & { output: string }) => `${error.output}${error.message}`,
    );

/** Runs the operation of a row, with its fault. */
async function withFault({ host, to, fault }: Row): Promise<string | undefined> {
    doors[host].arm("cut" in fault ? fault.cut : undefined);
    if ("command" in fault) {
        const always = "goes" in fault && fault.always === true;
        await on(host, arm(1, "goes" in fault ? fault.goes : "waits", fault.command, always ? 1_000 : 1));
    }
    let ended = false;
    const running = sayingOf(reach(to)).finally(() => {
        ended = true;
    });
    if (!("sent" in fault || "shut" in fault)) return running;
    while (!ended && (await on(host, tell)) === "") await sleep(200);
    if ("shut" in fault) {
        doors[host].shut();
        await on(host, release);
        return running;
    }
    const processes = processesOf();
    for (const signal of fault.sent) {
        process.kill(processes[fault.who]!, signal);
        await sleep(1_000);
    }
    await on(host, release);
    const said = await running;
    // What a killed engine leaves of its provider ends by itself.
    const { provider } = processes;
    for (let waited = 0; provider !== undefined && isAlive(provider) && waited < 60; waited++) await sleep(1_000);
    if (provider !== undefined && isAlive(provider)) {
        process.kill(provider, "SIGKILL");
        throw new Error(`the provider's process goes on after its engine; the engine said: ${said}`);
    }
    return said;
}

beforeAll(async () => {
    lab = await startLab(join(__dirname, "..", "support", "faults.json"));
    await everywhere(async (host) => {
        await lab.sh(host, `${MODULES}\n${FOREIGN[host]}`);
        await setTraps(lab, host);
    });
    doors = await everywhere((host) => Door.open(lab.hosts[host]!.port));
    stack = await makeStack({ program: program(false) });
    await configure();
    looks.nothing = await lookAt(on);
    for (const goal of ["declared", "edited"] as const) {
        await reach(goal);
        looks[goal] = await lookAt(on);
    }
    await reach("nothing");
});
afterAll(async () => {
    await stack?.remove();
    if (doors !== undefined) await Promise.all(Object.values(doors).map((door) => door.close()));
    await lab?.down();
});

test("without a fault the hosts are as declared, as edited, and in the end as they were found", async () => {
    for (const host of HOSTS) {
        expect(looks.declared[host]).not.toEqual(looks.nothing[host]);
        expect(looks.edited[host]).not.toEqual(looks.declared[host]);
    }
    expect(differences(looks.nothing, looks.edited, isForeign)).toEqual([]);
    expect(differences(looks.nothing, await lookAt(on))).toEqual([]);
});

test.each(rows)("from $from to $to, $host: $what", async (row) => {
    const { fault, from, to, host, ends, locked, pending } = row;
    if (at !== from) await reach(from);
    const forGood = "shut" in fault;
    const own = row.config !== undefined || forGood;
    if (own) await configure(row.config, forGood ? { dialErrorLimit: 1 } : {});

    const said = await withFault(row);
    // A script that reached a host ends there, whoever sent it.
    await everywhere((each) => on(each, "[ ! -e /run/pulumi-lvs/lock ] || flock -w 60 /run/pulumi-lvs/lock true"));
    const { seen, sprung } = await lookWithTraps(on);
    const strays = neither(looks[from], looks[to], seen);
    if (process.env["LVS_FAULT_SAY"] === "1") {
        process.stderr.write(
            `${row.what}: ${sprung[host]}\n${said?.slice(0, 3_000) ?? "done"}\n${strays.join("\n")}\n`,
        );
    }
    expect("cut" in fault ? doors[host].cut : sprung[host]).toBeTruthy();
    if (forGood) expect(said).toMatch(/Whether it was done is not known/);
    for (const door of Object.values(doors)) door.arm();
    if (own) await configure();

    if (ends === "done") {
        expect(said).toBeUndefined();
        expect(differences(looks[to], seen)).toEqual([]);
    } else expect(said).toMatch(ends ?? new RegExp(`\\b${host} \\(root@127\\.0\\.0\\.1:\\d+\\)`));
    expect(differences(looks[from], seen, isForeign)).toEqual([]);
    if (!tellsWhatIsLeft(said ?? "")) expect(strays).toEqual([]);

    if (locked) {
        expect(await sayingOf(reach(to))).toMatch(/currently locked by 1 lock.*`pulumi cancel`/s);
        await stack.stack.cancel();
    }
    const { output } = await reach(to);
    expect(/with \d+ pending operations/.test(output)).toBe(pending === true);
    if (process.env["LVS_FAULT_SAY"] === "1") process.stderr.write(output);
    expect(differences(looks[to], await lookAt(on))).toEqual([]);
    if (to === "nothing") {
        expect(stack.state()).not.toContain("lvs:");
        return;
    }
    expect((await stack.up()).changes).toEqual({});
    expect((await stack.refresh()).changes).toEqual({});
    // The doors are in this process, which must not wait for a command.
    if (pending) await stack.stack.refresh({ clearPendingCreates: true });
    expect(stack.state()).not.toContain("pending_operations");
});

test("after all that a plain destroy leaves no trace", async () => {
    await reach("nothing");
    expect(differences(looks.nothing, await lookAt(on))).toEqual([]);
    expect(stack.state()).not.toContain("lvs:");
});

/** The lines that are neither as before nor as they are to be. */
function neither(before: Look, goal: Look, seen: Look): string[] {
    return HOSTS.flatMap((host) => [
        ...seen[host]
            .filter((line) => !before[host].includes(line) && !goal[host].includes(line))
            .map((line) => `${host} + ${line}`),
        ...before[host]
            .filter((line) => goal[host].includes(line) && !seen[host].includes(line))
            .map((line) => `${host} - ${line}`),
    ]);
}

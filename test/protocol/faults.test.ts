/**
 * A fault at every boundary: each command that a host runs, and each write on the connection, is made to fail in turn,
 * while a resource of the reference topology is made, edited and removed. Whatever happens, an operation is done, or is
 * undone, or its error says what is left; what others have on the hosts is untouched; and the same operation, asked for
 * once more, comes to its end.
 *
 * Every boundary once, in an order drawn by a seed: in the exhaustive run all of them, in `npm test` as many as fit in a
 * time. LVS_PART=3/40 takes a fortieth of them; LVS_FAULT_SAY=1 tells each.
 */
import { join } from "node:path";
import fc from "fast-check";
import type { ResourceType } from "../../provider/dynamic/shim";
import { connectionSchema } from "../../provider/ssh/connection";
import { closeAll, runScript } from "../../provider/ssh/session";
import { type Cut, Door } from "../support/door";
import { type Lab, startLab } from "../support/lab";
import {
    differences,
    everywhere,
    FOREIGN,
    forEach,
    HOSTS,
    type HostName,
    isForeign,
    type Look,
    lookAt,
    lookWithTraps,
    MODULES,
    tellsWhatIsLeft,
} from "../support/look";
import { inPart, seconds, seed } from "../support/sample";
import { arm, type Fault, setTraps } from "../support/traps";
import { type Properties, ProviderProcess, type Refusal, type State } from "./support/process";

const SECONDS = seconds(60);

/** Seconds for one script where commands hang: an emulated host needs a second or two for an ordinary one. */
const PATIENCE = "5";

const VIP = "10.77.1.100";
const owner = (type: ResourceType, name: string) => ({ owner: `organization/shop/prod#${type}/${name}` });
const at = { director: { name: "dir", connection: "dir", interface: "eth0" } };
const web = { director: { name: "dir", connection: "dir" }, protocol: "tcp", address: VIP, port: 80 };
const tunnels = { ...web, address: "10.77.1.101" };

/** One resource whose life is walked through: declared, and declared otherwise. */
interface Subject {
    name: string;
    type: ResourceType;
    declared: Properties;
    edited: Properties;
}

const director: Subject = {
    name: "director",
    type: "Director",
    declared: {
        ...at.director,
        ipForward: true,
        sysctls: { "net.ipv4.vs.expire_nodest_conn": "1" },
        timeouts: { udp: 100 },
        masquerade: [{ source: "10.77.2.0/24" }],
        ...owner("Director", "dir"),
    },
    edited: {
        ...at.director,
        ipForward: true,
        sysctls: { "net.ipv4.vs.expire_nodest_conn": "1", "net.ipv4.vs.sloppy_tcp": "1" },
        timeouts: { udp: 200 },
        masquerade: [{ source: "10.77.2.0/25" }],
        ...owner("Director", "dir"),
    },
};
const service = (name: string, reference: Properties): Subject => {
    const declared = { ...reference, ...at, ...owner("VirtualService", name) };
    return { name, type: "VirtualService", declared, edited: { ...declared, scheduler: "rr" } };
};
const realServer = (name: string, host: HostName, declared: Properties, edited: Properties): Subject => {
    const all = { connection: host, ...owner("RealServer", name) };
    return { name, type: "RealServer", declared: { ...declared, ...all }, edited: { ...edited, ...all } };
};

/** What stands under the others for the whole test. */
const ground = [service("web", web), service("tunnels", tunnels)];

const nat: Properties = { ...at, protocol: "tcp", address: "10.77.1.102", port: 80, ...owner("VirtualService", "nat") };
const marked: Properties = {
    ...{ ...at, fwmark: 7, realServers: { "10.77.1.21": {} }, ...owner("VirtualService", "marked") },
    marks: [{ protocol: "tcp", address: "10.77.1.103", port: 80 }],
};

const subjects: Subject[] = [
    director,
    {
        name: "nat, inline",
        type: "VirtualService",
        declared: { ...nat, realServers: { "10.77.2.21": { forwarding: "nat" }, "10.77.2.22": { forwarding: "nat" } } },
        edited: {
            ...{ ...nat, scheduler: "sh", persistence: { timeout: 60 } },
            realServers: {
                "10.77.2.21": { forwarding: "nat", weight: 3 },
                "10.77.2.23": { forwarding: "nat", upperThreshold: 9 },
            },
        },
    },
    {
        name: "marks, inline",
        type: "VirtualService",
        declared: marked,
        edited: { ...marked, marks: [{ protocol: "tcp", address: "10.77.1.103", port: 443 }], scheduler: "rr" },
    },
    realServer(
        "dr",
        "web1",
        { service: web, address: "10.77.1.21", sysctls: { "net.ipv4.conf.eth0.arp_filter": "1" } },
        { service: web, address: "10.77.1.21", forwarding: "tun", weight: 3 },
    ),
    realServer(
        "tun",
        "web2",
        { service: tunnels, address: "10.77.1.22", forwarding: "tun" },
        {
            ...{ service: tunnels, address: "10.77.1.22", forwarding: "tun", weight: 2 },
            tunnel: { type: "gue", port: 6080 },
        },
    ),
];

let lab: Lab;
let plain: ProviderProcess;
let doors: Record<HostName, Door>;
let asFound: Look;

const on = async (host: HostName, script: string): Promise<string> => {
    const connection = connectionSchema.parse(lab.hosts[host]);
    return (await runScript(connection, script, { timeout: 120 })).stdout;
};
const look = (): Promise<Look> => lookAt(on);

/** A provider process that goes through the doors. */
const throughDoors = (more: Properties, config: Record<string, string>): Promise<ProviderProcess> => {
    const hosts = HOSTS.map((name) => [name, { ...lab.hosts[name], port: doors[name].port, ...more }]);
    return ProviderProcess.start({ "lvs:hosts": JSON.stringify(Object.fromEntries(hosts)), ...config });
};

type Phase = "create" | "update" | "update back" | "delete";

/** What the engine would ask of a provider. */
async function ask(
    provider: ProviderProcess,
    phase: Phase,
    subject: Subject,
    state: State | undefined,
): Promise<State | undefined> {
    if (phase === "delete") {
        await provider.delete(state!);
        return undefined;
    }
    const inputs = phase === "update" ? subject.edited : subject.declared;
    return state === undefined ? provider.create(subject.type, inputs) : provider.update(state, inputs);
}

type Boundary = { host: HostName } & ({ at: number; fault: Fault } | { cut: Cut });

interface Counts {
    commands: Record<HostName, number>;
    up: Record<HostName, number>;
    down: Record<HostName, number>;
}

/** Everything that can go wrong in an operation. */
function boundariesOf({ commands, up, down }: Counts): Boundary[] {
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
    const faults: Fault[] = ["fails", "fails after its work", "hangs", "kills its session"];
    return HOSTS.flatMap((host): Boundary[] => [
        ...numbers(commands[host]).flatMap((n) => faults.map((fault) => ({ host, at: n, fault }))),
        ...(["up", "down"] as const).flatMap((direction) =>
            numbers((direction === "up" ? up : down)[host]).flatMap((n) =>
                [
                    [false, false],
                    [true, false],
                    [false, true],
                ].map(([passes, forGood]) => ({
                    host,
                    cut: { direction, at: n, passes: passes!, forGood: forGood! },
                })),
            ),
        ),
    ]);
}

const describeBoundary = (boundary: Boundary): string =>
    "cut" in boundary
        ? `${boundary.host}: write ${boundary.cut.at} ${boundary.cut.direction} ${boundary.cut.passes ? "passes, then the connection is cut" : "is cut off"}${boundary.cut.forGood ? " for good" : ""}`
        : `${boundary.host}: command ${boundary.at} ${boundary.fault}`;

const shuffled = <T>(all: T[]): T[] =>
    fc.sample(fc.shuffledSubarray(all, { minLength: all.length }), { seed, numRuns: 1 })[0]!;

beforeAll(async () => {
    lab = await startLab(join(__dirname, "..", "support", "faults.json"));
    await everywhere(async (host) => {
        await lab.sh(host, `${MODULES}\n${FOREIGN[host]}`);
        await setTraps(lab, host);
    });
    doors = await everywhere((host) => Door.open(lab.hosts[host]!.port));
    plain = await ProviderProcess.start({ "lvs:hosts": lab.lvsHosts() });
    asFound = await look();
});

afterAll(async () => {
    await plain?.stop();
    await closeAll();
    if (doors !== undefined) await Promise.all(Object.values(doors).map((door) => door.close()));
    await lab?.down();
});

/** Runs one operation with a fault in it, or only counts; then judges what came of it. */
async function trial(
    phase: Phase,
    subject: Subject,
    state: State | undefined,
    before: Look,
    expected: Look | undefined,
    boundary: Boundary | undefined,
): Promise<{ counts: Counts; hit: boolean; troubles: string[]; state: State | undefined; after: Look }> {
    const troubles: string[] = [];
    const hangs = boundary !== undefined && "fault" in boundary && boundary.fault === "hangs";
    const forGood = boundary !== undefined && "cut" in boundary && boundary.cut.forGood;
    const [provider] = await Promise.all([
        throughDoors(forGood ? { dialErrorLimit: 1 } : {}, hangs ? { "lvs:commandTimeout": PATIENCE } : {}),
        everywhere(async (host) => {
            const here = boundary?.host === host ? boundary : undefined;
            doors[host].arm(here !== undefined && "cut" in here ? here.cut : undefined);
            if (boundary === undefined) await on(host, arm(0, "fails"));
            else if (here !== undefined && "fault" in here) await on(host, arm(here.at, here.fault));
        }),
    ]);
    let result = state;
    let refusal: Refusal | undefined;
    try {
        result = await ask(provider, phase, subject, state);
    } catch (error) {
        refusal = error as Refusal;
    }
    await provider.stop();
    const { seen, commands, sprung } = await lookWithTraps(on);
    let after = seen;
    const counts: Counts = {
        commands,
        up: forEach((host) => doors[host].writes.up),
        down: forEach((host) => doors[host].writes.down),
    };
    const hit = boundary !== undefined && ("cut" in boundary ? doors[boundary.host].cut : sprung[boundary.host] !== "");
    for (const host of HOSTS) doors[host].arm();
    const foreign = differences(before, after, isForeign);
    if (foreign.length > 0) troubles.push(`foreign state changed: ${foreign.join("; ")}`);
    if (refusal === undefined) {
        const wrong = expected === undefined ? [] : differences(expected, after);
        if (wrong.length > 0) troubles.push(`said to be done, and is not: ${wrong.join("; ")}`);
    } else {
        if (boundary === undefined) troubles.push(`failed without a fault: ${refusal.message}`);
        const undone = differences(before, after);
        const named = tellsWhatIsLeft(refusal.message);
        // What a failed delete has not removed is still in the state: the engine asks for it again.
        const kept = refusal.left || phase === "delete";
        if (undone.length > 0 && !named && !kept) {
            troubles.push(`neither done nor undone, and the error does not say so: ${undone.join("; ")}`);
        }
        if (!HOSTS.some((host) => refusal.message.includes(host))) troubles.push("the error names no host");
        result = refusal.kept === undefined ? state : { type: subject.type, inputs: {}, ...refusal.kept };
        // The next run, as the engine would have it.
        try {
            result = await ask(plain, phase, subject, result);
        } catch (error) {
            troubles.push(`once more, and it fails: ${(error as Error).message}`);
        }
        after = await look();
        const wrong = expected === undefined ? [] : differences(expected, after);
        if (wrong.length > 0) troubles.push(`once more, and it is not done: ${wrong.join("; ")}`);
    }
    if (troubles.length > 0 && refusal !== undefined) troubles.push(`the error was: ${refusal.message}`);
    if (troubles.length > 0 && boundary !== undefined) troubles.push(`the command was: ${sprung[boundary.host]}`);
    return { counts, hit, troubles, state: result, after };
}

test(
    "after a fault anywhere an operation is done, undone, or what is left is said; and asked again it comes to its end",
    async () => {
        const report: string[] = [];
        const grounds: State[] = [];
        for (const each of ground) grounds.push((await ask(plain, "create", each, undefined))!);
        const bare = await look();
        const figures = { known: 0, tried: 0, hit: 0, failures: 0 };

        /** Set when every life that was chosen has been counted. */
        let deadline = Number.POSITIVE_INFINITY;
        const cycle: Phase[] = ["create", "update", "update back", "delete"];
        const chosen = shuffled(subjects).slice(0, Math.ceil(SECONDS / 300));
        /** The boundaries that are still to come. */
        const known = new Map<string, { left: Boundary[]; expected: Look }>();
        const over = () =>
            chosen.every(({ name }) => cycle.every((phase) => known.get(`${name}: ${phase}`)?.left.length === 0));
        rounds: while (!over()) {
            // The first walk counts; the sample takes few subjects, for each costs a walk.
            for (const subject of chosen) {
                let before = bare;
                let state: State | undefined;
                for (const phase of cycle) {
                    if (Date.now() > deadline && phase === "create") break rounds;
                    const key = `${subject.name}: ${phase}`;
                    const seen = known.get(key);
                    const boundary = seen?.left.pop();
                    const where = boundary === undefined ? "no fault" : describeBoundary(boundary);
                    if (process.env["LVS_FAULT_SAY"] === "1") process.stderr.write(`${key}: ${where}\n`);
                    const came = await trial(phase, subject, state, before, seen?.expected, boundary);
                    if (seen === undefined) {
                        const left = shuffled(inPart(boundariesOf(came.counts)));
                        known.set(key, { left, expected: came.after });
                        figures.known += left.length;
                        if (phase === "delete") came.troubles.push(...differences(bare, came.after));
                    } else if (boundary !== undefined) {
                        figures.tried++;
                        if (came.hit) figures.hit++;
                    }
                    if (came.troubles.length > 0) {
                        figures.failures++;
                        report.push(`${key}: ${where}\n    ${came.troubles.join("\n    ")}`);
                        if (process.env["LVS_FAULT_SAY"] === "1") console.log(report.at(-1));
                    }
                    state = came.state;
                    before = came.after;
                }
                // A walk that went wrong is not to spoil the next.
                if (differences(bare, await look()).length > 0) {
                    if (state !== undefined) await plain.delete(state).catch(() => {});
                }
            }
            deadline = Math.min(deadline, Date.now() + SECONDS * 1000);
        }
        for (const state of grounds.reverse()) await plain.delete(state);
        const trace = differences(asFound, await look());
        console.log(
            JSON.stringify({ seed, seconds: SECONDS, subjects: chosen.map(({ name }) => name), ...figures }),
            ...(report.length > 0 ? [`\n${report.join("\n")}`] : []),
        );
        expect(report).toEqual([]);
        expect(trace).toEqual([]);
        expect(figures.hit).toBeGreaterThan(0);
    },
    (SECONDS + 600) * 1000,
);

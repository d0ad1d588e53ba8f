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
    provider = await start();
    asFound = await snapshots(lab);
});

afterAll(async () => {
    await provider?.stop();
    await lab?.down();
});

/** What a story leaves in the state is destroyed, the newest first; then the hosts are as they were found. */
async function clearUp(): Promise<void> {
    for (const state of [...made].reverse()) await remove(state);
    const [expected, found] = comparable(asFound, await snapshots(lab));
    expect(found).toEqual(expected);
}

afterEach(async () => {
    made = [];
});

test("create, unchanged refresh, edit in place, delete: all three resources", async () => {
    const dir = await create("Director", { ...director, ...owner("Director", "dir") });
    const web = await create("VirtualService", service({ scheduler: "wrr" }));
    const web1 = await create("RealServer", realServer({ weight: 2 }));
    expect([dir.id, web.id, web1.id]).toEqual(["dir", `dir/tcp/${VIP}:80`, `dir/tcp/${VIP}:80/${RIP}:80`]);
    expect(await rules()).toEqual([`-A -t ${VIP}:80 -s wrr`, `${WEB1} -w 2`]);
    for (const state of made) expect(await drift(state)).toEqual({});

    const heavier = realServer({ weight: 5, upperThreshold: 100, lowerThreshold: 10 });
    expect(await provider.diff(web1, heavier)).toEqual({ changes: true, replaces: [] });
    await update(web1, heavier);
    const other = service({ scheduler: "sh", persistence: { timeout: 60 } });
    expect(await provider.diff(web, other)).toEqual({ changes: true, replaces: [] });
    await update(web, other);
    expect(await rules()).toEqual([`-A -t ${VIP}:80 -s sh -p 60`, expect.stringMatching(`${WEB1} -w 5 -x 100 -y 10`)]);
    await clearUp();
});
